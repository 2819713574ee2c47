// A GossipSub peer by go-libp2p for the interoperability tests. It reads commands from its standard
// input, a line each ("dial ADDRESS", "publish SEED BYTES"), and prints what happens, a line each.
// It ends with its input.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

var output sync.Mutex

func say(format string, arguments ...any) {
	output.Lock()
	defer output.Unlock()
	fmt.Printf(format+"\n", arguments...)
}

func id(data []byte) string {
	hash := sha256.Sum256(data)
	return hex.EncodeToString(hash[:])
}

// grafts tells of peers that come into the mesh.
type grafts struct{}

func (grafts) Graft(p peer.ID, topic string)                        { say("graft %s", p) }
func (grafts) OnNewOutboundStream(peer.ID, protocol.ID)             {}
func (grafts) OnClosedOutboundStream(peer.ID)                       {}
func (grafts) Join(string)                                          {}
func (grafts) Leave(string)                                         {}
func (grafts) Prune(peer.ID, string)                                {}
func (grafts) ValidateMessage(*pubsub.Message)                      {}
func (grafts) DeliverMessage(*pubsub.Message)                       {}
func (grafts) RejectMessage(m *pubsub.Message, r string)            { say("reject %s", r) }
func (grafts) DuplicateMessage(*pubsub.Message)                     {}
func (grafts) ThrottlePeer(peer.ID)                                 {}
func (grafts) RecvRPC(*pubsub.RPC)                                  {}
func (grafts) SendRPC(*pubsub.RPC, peer.ID)                         {}
func (grafts) SendRPCCompleted(*pubsub.RPC, peer.ID, time.Duration) {}
func (grafts) DropRPC(*pubsub.RPC, peer.ID)                         {}
func (grafts) UndeliverableMessage(*pubsub.Message)                 {}

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func receive(ctx context.Context, subscription *pubsub.Subscription, own peer.ID) {
	for {
		message, err := subscription.Next(ctx)
		if err != nil {
			return
		}
		if message.ReceivedFrom != own {
			say("message %s", id(message.Data))
		}
	}
}

func main() {
	ctx := context.Background()
	host := must(libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0")))
	gossip := must(pubsub.NewGossipSub(ctx, host,
		pubsub.WithMaxMessageSize(4<<20),
		pubsub.WithMessageIdFn(func(m *pb.Message) string { return id(m.Data) }),
		pubsub.WithMessageSignaturePolicy(pubsub.StrictSign),
		pubsub.WithRawTracer(grafts{})))
	topic := must(gossip.Join(os.Args[1]))
	go receive(ctx, must(topic.Subscribe()), host.ID())
	say("listening %s/p2p/%s", host.Addrs()[0], host.ID())

	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		var address string
		var seed byte
		var size int
		if n, _ := fmt.Sscanf(commands.Text(), "dial %s", &address); n == 1 {
			must(0, host.Connect(ctx, *must(peer.AddrInfoFromString(address))))
		} else if n, _ := fmt.Sscanf(commands.Text(), "publish %d %d", &seed, &size); n == 2 {
			data := bytes.Repeat([]byte{seed}, size)
			must(0, topic.Publish(ctx, data))
			say("published %s", id(data))
		}
	}
}
