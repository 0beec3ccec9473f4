package main

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func connect(e *env) error {
	if _, err := e.nc.RTT(); err != nil {
		return err
	}
	return must(e.nc.HeadersSupported() && strings.HasPrefix(e.nc.ConnectedServerVersion(), "2."),
		"version %s", e.nc.ConnectedServerVersion())
}

func publishSubscribe(e *env) error {
	sub, err := e.nc.SubscribeSync("go.core.>")
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	_ = e.nc.Publish("go.core.a", []byte("one"))
	_ = e.nc.PublishRequest("go.core.b.c", "there", []byte("two"))
	one, err := sub.NextMsg(2 * time.Second)
	if err != nil {
		return err
	}
	two, err := sub.NextMsg(2 * time.Second)
	if err != nil {
		return err
	}
	return must(string(one.Data) == "one" && two.Reply == "there", "%v %v", one, two)
}

func requestReply(e *env) error {
	sub, err := e.nc.Subscribe("go.service", func(m *nats.Msg) { _ = m.Respond([]byte("pong")) })
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	for range 50 {
		if _, err = e.nc.Request("go.service", []byte("ping"), 2*time.Second); err != nil {
			return err
		}
	}
	return nil
}

func noResponders(e *env) error {
	_, err := e.nc.Request("go.nobody", nil, 2*time.Second)
	return must(errors.Is(err, nats.ErrNoResponders), "got %v", err)
}

func queueGroup(e *env) error {
	total := make(chan struct{}, 100)
	for range 3 {
		sub, err := e.nc.QueueSubscribe("go.queue", "workers", func(*nats.Msg) { total <- struct{}{} })
		if err != nil {
			return err
		}
		defer sub.Unsubscribe()
	}
	for range 30 {
		_ = e.nc.Publish("go.queue", nil)
	}
	_ = e.nc.Flush()
	time.Sleep(100 * time.Millisecond)
	return must(len(total) == 30, "%d of 30", len(total))
}

func headers(e *env) error {
	sub, err := e.nc.SubscribeSync("go.headers")
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	msg := nats.NewMsg("go.headers")
	msg.Header.Add("Key", "one")
	msg.Header.Add("Key", "two")
	_ = e.nc.PublishMsg(msg)
	got, err := sub.NextMsg(2 * time.Second)
	if err != nil {
		return err
	}
	return must(slices.Equal(got.Header.Values("Key"), []string{"one", "two"}), "%v", got.Header)
}

func unsubscribeAfter(e *env) error {
	sub, err := e.nc.SubscribeSync("go.limited")
	if err != nil {
		return err
	}
	_ = sub.AutoUnsubscribe(2)
	for range 4 {
		_ = e.nc.Publish("go.limited", nil)
	}
	_ = e.nc.Flush()
	pending, _, err := sub.Pending()
	return must(err == nil && pending == 2, "%d pending, %v", pending, err)
}

func drain(e *env) error {
	other, err := open(e.url)
	if err != nil {
		return err
	}
	closed := make(chan struct{})
	other.SetClosedHandler(func(*nats.Conn) { close(closed) })
	got := 0
	if _, err = other.Subscribe("go.drain", func(*nats.Msg) { got++ }); err != nil {
		return err
	}
	_ = other.Flush()
	_ = e.nc.Publish("go.drain", nil)
	_ = e.nc.Flush()
	_ = other.Drain()
	select {
	case <-closed:
		return must(got == 1, "%d came", got)
	case <-time.After(5 * time.Second):
		return errors.New("not drained")
	}
}

func reconnect(e *env) error {
	restart := os.Getenv("RESTART")
	if restart == "" {
		return nil
	}
	if _, err := e.filled("gorestart", 3); err != nil {
		return err
	}
	back := make(chan struct{}, 1)
	other, err := open(e.url, nats.ReconnectHandler(func(*nats.Conn) { back <- struct{}{} }))
	if err != nil {
		return err
	}
	defer other.Close()
	sub, err := other.SubscribeSync("go.after")
	if err != nil {
		return err
	}
	_ = other.Flush()
	if err = exec.Command(restart).Run(); err != nil {
		return err
	}
	select {
	case <-back:
	case <-e.ctx.Done():
		return errors.New("did not reconnect")
	}
	_ = other.Publish("go.after", nil)
	if _, err = sub.NextMsg(2 * time.Second); err != nil {
		return err
	}
	js, _ := jetstream.New(other)
	s, err := js.Stream(e.ctx, "gorestart")
	if err != nil {
		return err
	}
	return must(s.CachedInfo().State.Msgs == 3, "%+v", s.CachedInfo().State)
}
