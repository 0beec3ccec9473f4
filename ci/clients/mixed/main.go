// The nats.go side of a conversation that the Memphis SDK and nats-py are part of: one step a call.
//
// Usage: mixed URL publish SUBJECT BODY | mixed URL fetch STREAM DURABLE SUBJECT COUNT ack|leave
// Prints JSON: what a publish was answered, or the bodies that were fetched.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func main() {
	answer, err := step(os.Args[1], os.Args[2], os.Args[3:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	text, err := json.Marshal(answer)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(string(text))
}

func step(url, what string, words []string) (any, error) {
	nc, err := nats.Connect(url, nats.Name("billing-go"))
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if what == "publish" {
		return publish(ctx, js, words[0], words[1])
	}
	count, err := strconv.Atoi(words[3])
	if err != nil {
		return nil, err
	}
	return fetch(ctx, js, words[0], words[1], words[2], count, words[4] == "ack")
}

func publish(ctx context.Context, js jetstream.JetStream, subject, body string) (any, error) {
	ack, err := js.Publish(ctx, subject, []byte(body))
	var refused *jetstream.APIError
	if errors.As(err, &refused) {
		return map[string]any{"code": refused.ErrorCode, "error": refused.Description}, nil
	}
	if err != nil {
		return nil, err
	}
	return map[string]any{"stream": ack.Stream, "seq": ack.Sequence}, nil
}

func fetch(ctx context.Context, js jetstream.JetStream, stream, durable, subject string, count int, acks bool) (any, error) {
	consumer, err := js.CreateOrUpdateConsumer(ctx, stream, jetstream.ConsumerConfig{
		Durable: durable, FilterSubject: subject, AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: 300 * time.Millisecond, MaxDeliver: 1,
	})
	if err != nil {
		return nil, err
	}
	batch, err := consumer.Fetch(count, jetstream.FetchMaxWait(3*time.Second))
	if err != nil {
		return nil, err
	}
	bodies := []string{}
	for message := range batch.Messages() {
		bodies = append(bodies, string(message.Data()))
		if !acks {
			continue
		}
		if err := message.DoubleAck(ctx); err != nil {
			return nil, err
		}
	}
	return bodies, batch.Error()
}
