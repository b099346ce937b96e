package mongo_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"hutong/fhir/store"
	"hutong/fhir/store/mongo"
	"hutong/fhir/store/mongo/mongotest"
	"hutong/fhir/store/storetest"
)

var server *mongotest.Server

func TestMain(m *testing.M) {
	var err error
	if server, err = mongotest.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	server.Stop()
	os.Exit(code)
}

func fresh() string { return server.Database() }

func open(t *testing.T, uri string, o mongo.Options) *mongo.Store {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := mongo.Open(ctx, uri, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, extract storetest.Extract) *storetest.Harness {
		o := mongo.Options{Extract: extract}
		uri := fresh()
		s := open(t, uri, o)
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		h := &storetest.Harness{Store: s, Slow: server.Own}
		h.Check = func(ctx context.Context) error { return s.Check(ctx) }
		h.Reopen = func() store.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, uri, o)
			return s
		}
		return h
	})
}
