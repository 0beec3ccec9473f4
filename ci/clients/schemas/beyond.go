package main

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/nats-io/jsm.go/api"
	"github.com/nats-io/nats.go"
)

// Types that one server never sends, or not within what a client can bring about, with the reason.
var unreachable = map[string]string{
	"jetstream.advisory.v1.consumer_leader_elected":  "of clusters",
	"jetstream.advisory.v1.consumer_quorum_lost":     "of clusters",
	"jetstream.advisory.v1.domain_leader_elected":    "of clusters",
	"jetstream.advisory.v1.server_out_of_space":      "wants a full disk",
	"jetstream.advisory.v1.server_removed":           "of clusters",
	"jetstream.advisory.v1.stream_leader_elected":    "of clusters",
	"jetstream.advisory.v1.stream_quorum_lost":       "of clusters",
	"jetstream.api.v1.meta_leader_stepdown_response": "of clusters: one server does not answer",
	"jetstream.api.v1.meta_server_remove_response":   "of clusters: one server does not answer",
}

// beyond asks for what is not answered to an ordinary account's requests: acknowledgements, batches that
// are left, and what the system account hears and is told.
func beyond(url string, nc *nats.Conn, c *checker) error {
	system, err := nats.Connect(url, nats.UserInfo("sys", "p"))
	if err != nil {
		return err
	}
	defer system.Close()
	came, _ := system.SubscribeSync("$SYS.ACCOUNT.C.CONNECT")
	went, _ := system.SubscribeSync("$SYS.ACCOUNT.C.DISCONNECT")
	connections, _ := system.SubscribeSync("$SYS.SERVER.ACCOUNT.C.CONNS")
	_ = system.Flush()
	if other, err := nats.Connect(url, nats.UserInfo("c", "p")); err == nil {
		other.Close()
	}
	for _, events := range []*nats.Subscription{came, went, connections} {
		c.next(events)
	}
	if answer, err := system.Request("$JS.API.ACCOUNT.PURGE.C", nil, 5*time.Second); err == nil {
		c.check(answer.Data)
	}
	varz := struct {
		Data json.RawMessage `json:"data"`
	}{}
	if answer, err := system.Request("$SYS.REQ.SERVER.PING.VARZ", nil, 5*time.Second); err == nil {
		_ = json.Unmarshal(answer.Data, &varz)
		c.as("io.nats.server.monitor.v1.varz", varz.Data)
	}
	return c.latency(url, nc)
}

// latency has a service of one account asked from another, and its time measured.
func (c *checker) latency(url string, nc *nats.Conn) error {
	measured, _ := nc.SubscribeSync("latency")
	service, _ := nc.Subscribe("help", func(msg *nats.Msg) { _ = msg.Respond(nil) })
	defer func() { _ = service.Unsubscribe() }()
	_ = nc.Flush()
	asker, err := nats.Connect(url, nats.UserInfo("b", "p"))
	if err != nil {
		return err
	}
	defer asker.Close()
	_, err = asker.Request("help", nil, 5*time.Second)
	c.next(measured)
	return err
}

// next holds the next message of a subscription against its schema.
func (c *checker) next(sub *nats.Subscription) {
	if msg, err := sub.NextMsg(5 * time.Second); err == nil {
		c.check(msg.Data)
	}
}

// as holds a message that does not say its type against the schema of one.
func (c *checker) as(kind string, data []byte) {
	if c.faults[kind] == nil {
		c.faults[kind] = c.validate(kind, data)
	}
}

// rest says which types have not been seen; those that a server may send must have been.
func (c *checker) rest() {
	kinds, _ := api.SchemaSearch(`^io\.nats\.(jetstream|server)\.`)
	sort.Strings(kinds)
	for _, kind := range kinds {
		_, seen := c.faults[kind]
		name := strings.TrimPrefix(kind, "io.nats.")
		sent := strings.HasSuffix(kind, "_request") || strings.HasSuffix(kind, "_configuration")
		if seen || sent {
			continue
		}
		if reason, known := unreachable[name]; known {
			fmt.Printf("not seen %s: %s\n", name, reason)
		} else {
			c.faults[kind] = fmt.Errorf("was not seen")
		}
	}
}
