// A client in Go, made from the proto files as the guide does it. It subscribes a topic at a node and
// at a proxy, publishes through both, and prints what comes:
//
//	client <sidecar> <proxy> <topic>
//
// It ends with 0 when a message published through the proxy came from both, and one published
// through the node as well.
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
	proxy "github.com/open-optimump2p/go-client/gen/grpc_proxy_client/proto"
)

const (
	publishCommand   = 1
	subscribeCommand = 2
	clientID         = "go-client"
	limit            = 60 * time.Second
)

// delivery is the JSON of a delivered message; the payload is base64 in it.
type delivery struct {
	Topic   string `json:"topic"`
	Message []byte `json:"message"`
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: client <sidecar> <proxy> <topic>")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := run(ctx, os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func dial(address string) (*grpc.ClientConn, error) {
	return grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)))
}

func run(ctx context.Context, sidecarAddress, proxyAddress, topic string) error {
	nodeConn, err := dial(sidecarAddress)
	if err != nil {
		return err
	}
	defer nodeConn.Close()
	node := sidecar.NewCommandStreamClient(nodeConn)
	health, err := node.Health(ctx, &sidecar.Void{})
	if err != nil {
		return fmt.Errorf("health of the node: %w", err)
	}
	fmt.Printf("node: healthy=%t mode=%s\n", health.Status, health.NodeMode)
	commands, err := node.ListenCommands(ctx)
	if err != nil {
		return fmt.Errorf("stream of the node: %w", err)
	}
	if err := commands.Send(&sidecar.Request{Command: subscribeCommand, Topic: topic}); err != nil {
		return fmt.Errorf("subscribe at the node: %w", err)
	}

	proxyConn, err := dial(proxyAddress)
	if err != nil {
		return err
	}
	defer proxyConn.Close()
	proxyClient := proxy.NewProxyStreamClient(proxyConn)
	subscribe := &proxy.SubscribeRequest{ClientId: clientID, Topic: topic, Threshold: 0.1}
	if _, err := proxyClient.Subscribe(ctx, subscribe); err != nil {
		return fmt.Errorf("subscribe at the proxy: %w", err)
	}
	stream, err := proxyClient.ClientStream(ctx)
	if err != nil {
		return fmt.Errorf("stream of the proxy: %w", err)
	}
	if err := stream.Send(&proxy.ProxyMessage{ClientId: clientID}); err != nil {
		return fmt.Errorf("name the client: %w", err)
	}

	publish := &proxy.PublishRequest{ClientId: clientID, Topic: topic, Message: []byte("by proxy")}
	if _, err := proxyClient.Publish(ctx, publish); err != nil {
		return fmt.Errorf("publish at the proxy: %w", err)
	}
	if err := commands.Send(&sidecar.Request{Command: publishCommand, Topic: topic, Data: []byte("by node")}); err != nil {
		return fmt.Errorf("publish at the node: %w", err)
	}
	if err := until("node", func() ([]byte, error) {
		response, err := commands.Recv()
		if err != nil || response.Command != sidecar.ResponseType_Message {
			return nil, err
		}
		return response.Data, nil
	}); err != nil {
		return err
	}
	return until("proxy", func() ([]byte, error) {
		message, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		return message.Message, nil
	})
}

// until receives until both messages came. What is no message is nil.
func until(from string, next func() ([]byte, error)) error {
	missing := map[string]bool{"by proxy": true, "by node": true}
	for len(missing) > 0 {
		data, err := next()
		if err != nil {
			return fmt.Errorf("%s, without %v: %w", from, missing, err)
		}
		if data == nil {
			continue
		}
		var message delivery
		if err := json.Unmarshal(data, &message); err != nil {
			return fmt.Errorf("%s: %w", from, err)
		}
		fmt.Printf("%s: %q on %q\n", from, message.Message, message.Topic)
		delete(missing, string(message.Message))
	}
	return nil
}
