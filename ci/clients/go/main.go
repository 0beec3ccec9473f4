// nats.go, unmodified: core messaging, streams, consumers and key-value against one server.
//
// Usage: checks URL. Prints `ok NAME` or `FAIL NAME: why` per check; exits 1 if one failed.
// RESTART, if set, is a program that restarts the server.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

type env struct {
	url string
	nc  *nats.Conn
	js  jetstream.JetStream
	ctx context.Context
}

type check struct {
	name string
	run  func(*env) error
}

var checks = []check{
	{"connect", connect}, {"publish_subscribe", publishSubscribe}, {"request_reply", requestReply},
	{"no_responders", noResponders}, {"queue_group", queueGroup}, {"headers", headers},
	{"unsubscribe_after", unsubscribeAfter}, {"account_info", accountInfo},
	{"stream_create_update_delete", streamLife}, {"replicas_refused", replicasRefused},
	{"stream_listing", streamListing}, {"publish_ack", publishAck}, {"publish_async", publishAsync},
	{"publish_dedup", publishDedup}, {"publish_expected", publishExpected}, {"purge", purge},
	{"message_get_delete", messageGetDelete}, {"pull_fetch", pullFetch}, {"pull_no_wait", pullNoWait},
	{"pull_consume", pullConsume}, {"ack_verbs", ackVerbs}, {"redelivery", redelivery},
	{"ordered", ordered}, {"push", push}, {"push_heartbeat", pushHeartbeat},
	{"consumer_listing", consumerListing}, {"consumer_pause", consumerPause}, {"kv_basics", kvBasics},
	{"kv_history_keys", kvHistoryKeys}, {"kv_watch", kvWatch}, {"object_store", objectStore},
	{"priority_overflow", priorityOverflow}, {"priority_pinned", priorityPinned},
	{"priority_prioritized", priorityPrioritized}, {"atomic_batch", atomicBatch},
	{"atomic_batch_refused", atomicBatchRefused}, {"fast_batch", fastBatch}, {"counter", counter},
	{"counter_totals", counterTotals}, {"message_ttl", messageTTL}, {"message_ttl_ends", messageTTLEnds},
	{"scheduled", scheduled}, {"direct_get_batch", directGetBatch}, {"kv_ttl", kvTTL},
	{"persist_async", persistAsync}, {"drain", drain}, {"reconnect", reconnect},
}

func main() {
	e := &env{url: os.Args[1]}
	nc, err := open(e.url)
	if err != nil {
		fmt.Printf("FAIL go/connect: %v\n", err)
		os.Exit(1)
	}
	e.nc = nc
	e.js, _ = jetstream.New(nc)
	failed := 0
	for _, c := range checks {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		e.ctx = ctx
		if err := c.run(e); err != nil {
			failed++
			fmt.Printf("FAIL go/%s: %s\n", c.name, strings.ReplaceAll(err.Error(), "\n", " "))
		} else {
			fmt.Printf("ok go/%s\n", c.name)
		}
		cancel()
	}
	nc.Close()
	if failed > 0 {
		os.Exit(1)
	}
}

func open(url string, more ...nats.Option) (*nats.Conn, error) {
	options := append([]nats.Option{nats.ReconnectWait(100 * time.Millisecond), nats.MaxReconnects(100)}, more...)
	return nats.Connect(url, options...)
}

func must(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}

func (e *env) stream(name string, change func(*jetstream.StreamConfig)) (jetstream.Stream, error) {
	_ = e.js.DeleteStream(e.ctx, name)
	config := jetstream.StreamConfig{Name: name, Subjects: []string{name + ".>"}}
	if change != nil {
		change(&config)
	}
	return e.js.CreateStream(e.ctx, config)
}

// filled makes a stream with the messages 0, 1, 2... on NAME.a.
func (e *env) filled(name string, count int) (jetstream.Stream, error) {
	s, err := e.stream(name, nil)
	for i := 0; err == nil && i < count; i++ {
		_, err = e.js.Publish(e.ctx, name+".a", fmt.Append(nil, i))
	}
	return s, err
}

func apiError(err error, code jetstream.ErrorCode) error {
	var api jetstream.JetStreamError
	if errors.As(err, &api) && api.APIError() != nil && api.APIError().ErrorCode == code {
		return nil
	}
	return fmt.Errorf("expected error %d, got %v", code, err)
}
