// A client in Go of a node's sidecar, made from the proto files as the guide does it. It subscribes a
// topic at one node, publishes at another, and prints what comes:
//
//	client <sidecar> <sidecar of another node> <topic>
//
// docs/samples/go is one of a proxy.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	sidecar "github.com/open-optimump2p/go-client/gen/grpc_p2p_client/proto"
)

const (
	publishCommand   = 1
	subscribeCommand = 2
	limit            = 60 * time.Second
	// Between two tries to publish: nobody says when the nodes have a mesh for a topic.
	pause = 200 * time.Millisecond
)

// delivery is the JSON of a delivered message; the payload is base64 in it.
type delivery struct {
	Topic   string `json:"topic"`
	Message []byte `json:"message"`
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: client <sidecar> <sidecar of another node> <topic>")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := run(ctx, os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// connect opens a stream of commands at a node that says it is healthy.
func connect(ctx context.Context, address string) (sidecar.CommandStream_ListenCommandsClient, error) {
	connection, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)))
	if err != nil {
		return nil, err
	}
	node := sidecar.NewCommandStreamClient(connection)
	health, err := node.Health(ctx, &sidecar.Void{})
	if err != nil {
		return nil, fmt.Errorf("health of %s: %w", address, err)
	}
	fmt.Printf("healthy=%t mode=%s\n", health.Status, health.NodeMode)
	return node.ListenCommands(ctx)
}

func run(ctx context.Context, here, there, topic string) error {
	receiver, err := connect(ctx, here)
	if err != nil {
		return err
	}
	if err := receiver.Send(&sidecar.Request{Command: subscribeCommand, Topic: topic}); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	publisher, err := connect(ctx, there)
	if err != nil {
		return err
	}
	go publish(ctx, publisher, topic)
	for {
		response, err := receiver.Recv()
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		if response.Command != sidecar.ResponseType_Message {
			continue
		}
		var message delivery
		if err := json.Unmarshal(response.Data, &message); err != nil {
			return err
		}
		fmt.Printf("%q on %q\n", message.Message, message.Topic)
		return nil
	}
}

// publish publishes until the program ends.
func publish(ctx context.Context, node sidecar.CommandStream_ListenCommandsClient, topic string) {
	for number := 0; ctx.Err() == nil; number++ {
		data := fmt.Appendf(nil, "hello %d", number)
		// Where it fails, nothing is received, which is told.
		_ = node.Send(&sidecar.Request{Command: publishCommand, Topic: topic, Data: data})
		time.Sleep(pause)
	}
}
