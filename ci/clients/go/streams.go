package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"
)

func accountInfo(e *env) error {
	info, err := e.js.AccountInfo(e.ctx)
	if err != nil {
		return err
	}
	return must(info.Limits.MaxMemory == -1, "%+v", info)
}

func streamLife(e *env) error {
	s, err := e.stream("golife", nil)
	if err != nil {
		return err
	}
	if _, err = e.js.CreateStream(e.ctx, jetstream.StreamConfig{Name: "golife", Subjects: []string{"other"}}); !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return fmt.Errorf("created twice: %v", err)
	}
	config := s.CachedInfo().Config
	config.MaxMsgs = 7
	if s, err = e.js.UpdateStream(e.ctx, config); err != nil {
		return err
	}
	if s.CachedInfo().Config.MaxMsgs != 7 {
		return fmt.Errorf("not updated: %+v", s.CachedInfo().Config)
	}
	if err = e.js.DeleteStream(e.ctx, "golife"); err != nil {
		return err
	}
	_, err = e.js.Stream(e.ctx, "golife")
	return must(errors.Is(err, jetstream.ErrStreamNotFound), "got %v", err)
}

func replicasRefused(e *env) error {
	_, err := e.stream("goreplicas", func(c *jetstream.StreamConfig) { c.Replicas = 3 })
	return apiError(err, 10074)
}

func streamListing(e *env) error {
	if _, err := e.stream("golist", nil); err != nil {
		return err
	}
	names := []string{}
	for name := range e.js.StreamNames(e.ctx).Name() {
		names = append(names, name)
	}
	infos := 0
	for range e.js.ListStreams(e.ctx).Info() {
		infos++
	}
	name, err := e.js.StreamNameBySubject(e.ctx, "golist.x")
	return must(err == nil && name == "golist" && slices.Contains(names, "golist") && infos == len(names),
		"%v %d %s %v", names, infos, name, err)
}

func publishAck(e *env) error {
	if _, err := e.stream("goack", nil); err != nil {
		return err
	}
	ack, err := e.js.Publish(e.ctx, "goack.a", []byte("x"))
	if err != nil {
		return err
	}
	_, err = e.js.Publish(e.ctx, "go.nostream", []byte("x"))
	return must(ack.Stream == "goack" && ack.Sequence == 1 && errors.Is(err, jetstream.ErrNoStreamResponse),
		"%+v %v", ack, err)
}

func publishAsync(e *env) error {
	if _, err := e.stream("goasync", nil); err != nil {
		return err
	}
	futures := []jetstream.PubAckFuture{}
	for range 2000 {
		future, err := e.js.PublishAsync("goasync.a", []byte("x"))
		if err != nil {
			return err
		}
		futures = append(futures, future)
	}
	for i, future := range futures {
		select {
		case ack := <-future.Ok():
			if ack.Sequence != uint64(i+1) {
				return fmt.Errorf("%d got %d", i+1, ack.Sequence)
			}
		case err := <-future.Err():
			return err
		case <-e.ctx.Done():
			return e.ctx.Err()
		}
	}
	return nil
}

func publishDedup(e *env) error {
	if _, err := e.stream("godedup", nil); err != nil {
		return err
	}
	for i := range 2 {
		ack, err := e.js.Publish(e.ctx, "godedup.a", nil, jetstream.WithMsgID("one"))
		if err != nil || ack.Sequence != 1 || ack.Duplicate != (i == 1) {
			return fmt.Errorf("%+v %v", ack, err)
		}
	}
	return nil
}

func publishExpected(e *env) error {
	if _, err := e.filled("goexpect", 1); err != nil {
		return err
	}
	for code, option := range map[jetstream.ErrorCode]jetstream.PublishOpt{
		10071: jetstream.WithExpectLastSequence(7),
		10060: jetstream.WithExpectStream("other"),
		10070: jetstream.WithExpectLastMsgID("other"),
	} {
		_, err := e.js.Publish(e.ctx, "goexpect.a", nil, option)
		if err = apiError(err, code); err != nil {
			return err
		}
	}
	_, err := e.js.Publish(e.ctx, "goexpect.a", nil, jetstream.WithExpectLastSequencePerSubject(1))
	return err
}

func purge(e *env) error {
	s, err := e.filled("gopurge", 5)
	if err != nil {
		return err
	}
	if err = s.Purge(e.ctx, jetstream.WithPurgeKeep(2)); err != nil {
		return err
	}
	info, err := s.Info(e.ctx)
	if err != nil || info.State.Msgs != 2 || info.State.FirstSeq != 4 {
		return fmt.Errorf("%+v %v", info, err)
	}
	if err = s.Purge(e.ctx, jetstream.WithPurgeSubject("gopurge.a")); err != nil {
		return err
	}
	info, err = s.Info(e.ctx, jetstream.WithSubjectFilter(">"))
	return must(err == nil && info.State.Msgs == 0, "%+v %v", info, err)
}

func messageGetDelete(e *env) error {
	s, err := e.filled("gomsg", 3)
	if err != nil {
		return err
	}
	msg, err := s.GetMsg(e.ctx, 2)
	if err != nil || string(msg.Data) != "1" {
		return fmt.Errorf("%v %v", msg, err)
	}
	if err = s.DeleteMsg(e.ctx, 2); err != nil {
		return err
	}
	if _, err = s.GetMsg(e.ctx, 2); !errors.Is(err, jetstream.ErrMsgNotFound) {
		return fmt.Errorf("still there: %v", err)
	}
	last, err := s.GetLastMsgForSubject(e.ctx, "gomsg.a")
	return must(err == nil && last.Sequence == 3, "%v %v", last, err)
}
