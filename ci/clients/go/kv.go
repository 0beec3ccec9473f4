package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

func (e *env) bucket(name string) (jetstream.KeyValue, error) {
	_ = e.js.DeleteKeyValue(e.ctx, name)
	return e.js.CreateKeyValue(e.ctx, jetstream.KeyValueConfig{Bucket: name, History: 5})
}

func kvBasics(e *env) error {
	kv, err := e.bucket("gokv")
	if err != nil {
		return err
	}
	revision, err := kv.Create(e.ctx, "color", []byte("blue"))
	if err != nil {
		return err
	}
	if _, err = kv.Create(e.ctx, "color", nil); !errors.Is(err, jetstream.ErrKeyExists) {
		return fmt.Errorf("created twice: %v", err)
	}
	if revision, err = kv.Update(e.ctx, "color", []byte("green"), revision); err != nil {
		return err
	}
	if _, err = kv.Update(e.ctx, "color", nil, 1); err == nil {
		return errors.New("updated an old revision")
	}
	entry, err := kv.Get(e.ctx, "color")
	if err != nil || string(entry.Value()) != "green" || entry.Revision() != revision {
		return fmt.Errorf("%v %v", entry, err)
	}
	if old, err := kv.GetRevision(e.ctx, "color", 1); err != nil || string(old.Value()) != "blue" {
		return fmt.Errorf("%v %v", old, err)
	}
	if err = kv.Delete(e.ctx, "color"); err != nil {
		return err
	}
	if _, err = kv.Get(e.ctx, "color"); !errors.Is(err, jetstream.ErrKeyNotFound) {
		return fmt.Errorf("still there: %v", err)
	}
	_, err = kv.Create(e.ctx, "color", []byte("new"))
	return err
}

func kvHistoryKeys(e *env) error {
	kv, err := e.bucket("gokvh")
	if err != nil {
		return err
	}
	for i := range 7 {
		if _, err = kv.PutString(e.ctx, "a.b", fmt.Sprint(i)); err != nil {
			return err
		}
	}
	_, _ = kv.PutString(e.ctx, "c", "x")
	history, err := kv.History(e.ctx, "a.b")
	if err != nil || len(history) != 5 || string(history[0].Value()) != "2" {
		return fmt.Errorf("%v %v", history, err)
	}
	keys, err := kv.Keys(e.ctx)
	slices.Sort(keys)
	if err != nil || !slices.Equal(keys, []string{"a.b", "c"}) {
		return fmt.Errorf("%v %v", keys, err)
	}
	if err = kv.Purge(e.ctx, "a.b"); err != nil {
		return err
	}
	status, err := kv.Status(e.ctx)
	return must(err == nil && status.Values() == 2, "%v %v", status, err)
}

func kvWatch(e *env) error {
	kv, err := e.bucket("gowatch")
	if err != nil {
		return err
	}
	_, _ = kv.PutString(e.ctx, "a", "1")
	watcher, err := kv.WatchAll(e.ctx)
	if err != nil {
		return err
	}
	defer watcher.Stop()
	expect := func(expected string) error {
		select {
		case entry := <-watcher.Updates():
			if got := fmt.Sprint(entry != nil && string(entry.Value()) == expected); got != fmt.Sprint(expected != "") {
				return fmt.Errorf("expected %q, got %v", expected, entry)
			}
			return nil
		case <-time.After(3 * time.Second):
			return fmt.Errorf("%q did not come", expected)
		}
	}
	if err = errors.Join(expect("1"), expect("")); err != nil {
		return err
	}
	_, _ = kv.PutString(e.ctx, "b", "2")
	return expect("2")
}

func objectStore(e *env) error {
	_ = e.js.DeleteObjectStore(e.ctx, "goobj")
	store, err := e.js.CreateObjectStore(e.ctx, jetstream.ObjectStoreConfig{Bucket: "goobj"})
	if err != nil {
		return err
	}
	big := make([]byte, 300_000)
	for i := range big {
		big[i] = byte(i * 7)
	}
	if _, err = store.PutBytes(e.ctx, "big", big); err != nil {
		return err
	}
	back, err := store.GetBytes(e.ctx, "big")
	if err != nil || !slices.Equal(back, big) {
		return fmt.Errorf("%d bytes, %v", len(back), err)
	}
	if err = store.Delete(e.ctx, "big"); err != nil {
		return err
	}
	_, err = store.GetBytes(e.ctx, "big")
	return must(errors.Is(err, jetstream.ErrObjectNotFound), "got %v", err)
}
