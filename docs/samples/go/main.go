// Subscribes a topic over gRPC through one proxy, publishes through another, and prints what
// arrives. The package proto is made from proxy_stream.proto by protoc.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"math"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/open-optimump2p/docs/samples/go/proto"
)

const topic = "samples-go"

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	here, err := dial("PROXY_GRPC", "localhost:50051")
	if err != nil {
		return err
	}
	there, err := dial("PROXY_2_GRPC", "localhost:50052")
	if err != nil {
		return err
	}
	// Two of four nodes must have the message before it is given to us.
	subscribe := &proto.SubscribeRequest{ClientId: "go", Topic: topic, Threshold: 0.5}
	if _, err := here.Subscribe(ctx, subscribe); err != nil {
		return err
	}
	stream, err := here.ClientStream(ctx)
	if err != nil {
		return err
	}
	// The first message says who we are; what comes after it is for us.
	if err := stream.Send(&proto.ProxyMessage{ClientId: "go"}); err != nil {
		return err
	}
	publish := &proto.PublishRequest{
		ClientId: "sender", Topic: topic, Message: []byte(fmt.Sprintf("Hello from %d", os.Getpid())),
	}
	answer, err := there.Publish(ctx, publish)
	if err != nil {
		return err
	}
	fmt.Println(answer.Status, answer.MessageId)
	for {
		message, err := stream.Recv()
		if err != nil {
			return err
		}
		if message.Type == "lost" { // we read too slowly
			fmt.Printf("lost: %s\n", message.Message)
			continue
		}
		// []byte is base64 in JSON, as the payload is here.
		var delivery struct {
			Topic   string `json:"topic"`
			Message []byte `json:"message"`
		}
		if err := json.Unmarshal(message.Message, &delivery); err != nil {
			return err
		}
		fmt.Printf("received %s on %s\n", delivery.Message, delivery.Topic)
		return nil
	}
}

func dial(variable, address string) (proto.ProxyStreamClient, error) {
	if set := os.Getenv(variable); set != "" {
		address = set
	}
	connection, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		// A message may be longer than the library's default of 4 MiB.
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)))
	return proto.NewProxyStreamClient(connection), err
}
