package mongo

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"hutong/fhir"
	"hutong/fhir/store/mongo/layout"
	"hutong/fhir/store/mongo/terms"
	"hutong/fhir/store/mongo/wire"
)

// Check proves the store against itself: every current document, extracted
// anew, has the tokens that are stored and leads to its version; the versions
// of a resource are numbered without a gap and end where the next begins; the
// log has no gap. It wants no writers beside it. The error lists the first
// differences; it names keys, never content.
func (s *Store) Check(ctx context.Context) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	c := &checker{s: s, ctx: ctx, newest: map[string]*layout.Version{}}
	for _, step := range []func() error{c.log, c.versions, c.current} {
		if err := step(); err != nil {
			return wire.Failure(ctx, err)
		}
	}
	return errors.Join(c.found...)
}

// maxFound is how many differences are listed.
const maxFound = 20

type checker struct {
	s      *Store
	ctx    context.Context
	found  []error
	newest map[string]*layout.Version // by key, bodies left out
}

func (c *checker) report(format string, args ...any) {
	if len(c.found) < maxFound {
		c.found = append(c.found, fmt.Errorf("check: "+format, args...))
	}
}

// scan visits documents in an order.
func (c *checker) scan(from *driver.Collection, filter, sort bson.D, without bson.D, visit func(*driver.Cursor) error) error {
	cur, err := from.Find(c.ctx, filter, options.Find().SetSort(sort).SetProjection(without).SetBatchSize(c.s.opts.Batch))
	if err != nil {
		return err
	}
	defer func() { _ = cur.Close(c.ctx) }()
	for cur.Next(c.ctx) {
		if err := visit(cur); err != nil {
			return err
		}
	}
	return cur.Err()
}

// log: each record begins where the one before it ends, and is visible.
func (c *checker) log() error {
	next := int64(1)
	return c.scan(c.s.commits, bson.D{}, bson.D{{Key: "_id", Value: 1}}, bson.D{{Key: "ops", Value: 0}}, func(cur *driver.Cursor) error {
		var r layout.Record
		if err := cur.Decode(&r); err != nil {
			return err
		}
		t, err := layout.RecordT(r.ID)
		if err != nil || t != next || !r.Done {
			c.report("record %s: expected T %d, visible %v", r.ID, next, r.Done)
		}
		next = t + r.Count
		return nil
	})
}

// versions: numbers without a gap, each ending where the next begins.
func (c *checker) versions() error {
	sort := bson.D{{Key: "k", Value: 1}, {Key: "n", Value: 1}, {Key: "_id", Value: 1}}
	visible := bson.D{{Key: "t", Value: bson.D{{Key: "$gt", Value: int64(0)}}}}
	return c.scan(c.s.versions, visible, sort, bson.D{{Key: "b", Value: 0}}, func(cur *driver.Cursor) error {
		var v layout.Version
		if err := cur.Decode(&v); err != nil {
			return err
		}
		before := c.newest[v.Key]
		switch {
		case before == nil && v.Number != 1:
			c.report("%s: begins with version %d", v.Key, v.Number)
		case before != nil && (v.Number != before.Number+1 || before.To != v.T || before.T >= v.T):
			c.report("%s: version %d does not follow %d", v.Key, v.Number, before.Number)
		}
		c.newest[v.Key] = &v
		return nil
	})
}

// current: each document is the newest version, with its index.
func (c *checker) current() error {
	err := c.scan(c.s.current, bson.D{}, bson.D{{Key: "_id", Value: 1}}, bson.D{{Key: "r", Value: 0}}, func(cur *driver.Cursor) error {
		var d layout.Current
		if err := cur.Decode(&d); err != nil {
			return err
		}
		v := c.newest[d.ID]
		delete(c.newest, d.ID)
		if v == nil || v.ID != d.Version || v.T != d.T || v.Number != d.Number || v.To != layout.OpenEnd {
			c.report("%s: is not its newest version", d.ID)
			return nil
		}
		return c.index(&d)
	})
	for k := range c.newest {
		c.report("%s: has versions and is not current", k)
	}
	return err
}

// index holds the stored tokens against those of the body.
func (c *checker) index(d *layout.Current) error {
	if fhir.Method(d.Method) == fhir.Deleted {
		if len(d.Tokens) > 0 || d.Type != "" {
			c.report("%s: is deleted and indexed", d.ID)
		}
		return nil
	}
	k, _ := fhir.ParseKey(d.ID)
	body, err := c.s.codec.Unpack(d.Body)
	if err != nil {
		return err
	}
	entries, _, err := c.s.opts.Extract(body, k)
	if err != nil {
		return err
	}
	if ix := terms.Of(entries); !slices.Equal(ix.Tokens, d.Tokens) {
		c.report("%s: its tokens are not those of its body", d.ID)
	}
	return nil
}
