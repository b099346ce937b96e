// Package wire is what every part of the engine needs of the connection: what
// the deployment can do, deadlines, and failures as fhir errors.
package wire

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	xdriver "go.mongodb.org/mongo-driver/v2/x/mongo/driver"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"

	"hutong/fhir"
)

// Server is what a probe found out of the deployment. The engine depends on
// none of it: Sharded makes writes name their shard, Transactions is told to
// the operator.
type Server struct {
	ReplicaSet   string // "" if it says none
	Sharded      bool   // a mongos answers
	Transactions bool   // an aborted multi-document transaction left nothing
}

// Probe asks the server what it is, and tries a transaction: some servers take
// an abort and keep what was written.
func Probe(ctx context.Context, scratch *driver.Collection) (Server, error) {
	var hello struct {
		SetName string `bson:"setName"`
		Msg     string `bson:"msg"`
	}
	if err := scratch.Database().RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello); err != nil {
		return Server{}, err
	}
	s := Server{ReplicaSet: hello.SetName, Sharded: hello.Msg == "isdbgrid"}
	if s.ReplicaSet != "" || s.Sharded {
		s.Transactions = tryTransaction(ctx, scratch)
	}
	return s, nil
}

// tryTransaction inserts a document in a transaction, aborts it, and looks
// whether the document is gone. Any failure means no.
func tryTransaction(ctx context.Context, scratch *driver.Collection) bool {
	id := bson.D{{Key: "_id", Value: "probe-" + Token()}}
	session, err := scratch.Database().Client().StartSession()
	if err != nil {
		return false
	}
	defer session.EndSession(ctx)
	if err := session.StartTransaction(); err != nil {
		return false
	}
	_, err = scratch.InsertOne(driver.NewSessionContext(ctx, session), id)
	if err = errors.Join(err, session.AbortTransaction(ctx)); err != nil {
		return false
	}
	n, err := scratch.CountDocuments(ctx, id)
	if err == nil && n > 0 {
		_, _ = scratch.DeleteOne(ctx, id) // only a name that nobody asks for again
	}
	return err == nil && n == 0
}

// Timed bounds one operation of the database; its end is then Busy.
func Timed(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, ErrSlow)
}

// ErrSlow is the cause of an end that is the database's fault, not the
// request's.
var ErrSlow = errors.New("the database did not answer in time")

// CtxError tells why ctx ended, if it did.
func CtxError(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	if errors.Is(context.Cause(ctx), ErrSlow) {
		return fhir.Errorf(fhir.Busy, "%w", ErrSlow)
	}
	return fhir.Errorf(fhir.Timeout, "the request's time ended: %w", context.Cause(ctx))
}

// Failure makes a fhir.Error of a failure of the database: Timeout if the
// request's own time ended, Busy where trying again may help, Internal
// otherwise.
func Failure(ctx context.Context, err error) error {
	var ours *fhir.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &ours):
		return err
	case ctx.Err() != nil:
		return CtxError(ctx)
	case transient(err):
		return fhir.Errorf(fhir.Busy, "the database cannot be reached or has no primary: %w", Safe(err))
	case tooLarge(err):
		return fhir.Errorf(fhir.TooLarge, "larger than the database takes in one document")
	}
	return fhir.Errorf(fhir.Internal, "storage: %w", Safe(err))
}

// transientCodes are the server's errors of failovers, shutdowns and moves:
// https://github.com/mongodb/specifications, retryable errors.
var transientCodes = []int{6, 7, 50, 63, 89, 91, 133, 134, 150, 189, 262, 9001, 10107, 11600, 11602, 13388, 13435, 13436, 234}

func transient(err error) bool {
	if driver.IsTimeout(err) || driver.IsNetworkError(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, driver.ErrClientDisconnected) {
		return true
	}
	if errors.As(err, new(topology.ServerSelectionError)) || errors.As(err, new(topology.ConnectionError)) || errors.As(err, new(topology.WaitQueueTimeoutError)) {
		return true
	}
	var se driver.ServerError
	if !errors.As(err, &se) {
		return false
	}
	if se.HasErrorLabel("RetryableWriteError") || se.HasErrorLabel("TransientTransactionError") {
		return true
	}
	for _, c := range transientCodes {
		if se.HasErrorCode(c) {
			return true
		}
	}
	return false
}

func tooLarge(err error) bool {
	var se driver.ServerError
	return errors.Is(err, xdriver.ErrDocumentTooLarge) || errors.As(err, &se) && (se.HasErrorCode(10334) || se.HasErrorCode(17280))
}

// safeError is a failure of the database without the server's text, which may
// quote keys and values.
type safeError struct {
	text  string
	cause error
}

func (e *safeError) Error() string   { return e.text }
func (e *safeError) Is(t error) bool { return errors.Is(e.cause, t) }

func Safe(err error) error {
	var c driver.CommandError
	var w driver.WriteException
	var b driver.BulkWriteException
	text := fmt.Sprintf("%T", err)
	switch {
	case errors.As(err, &c):
		text = fmt.Sprintf("server error %d %s", c.Code, c.Name)
	case errors.As(err, &w) && len(w.WriteErrors) > 0:
		text = fmt.Sprintf("write error %d", w.WriteErrors[0].Code)
	case errors.As(err, &b) && len(b.WriteErrors) > 0:
		text = fmt.Sprintf("write error %d", b.WriteErrors[0].Code)
	case driver.IsTimeout(err):
		text = "timeout"
	case driver.IsNetworkError(err):
		text = "network error"
	}
	return &safeError{text: text, cause: err}
}

// Pause waits, or tells that ctx ended.
func Pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return CtxError(ctx)
	}
}

// Token names a transaction or a record: 128 random bits.
func Token() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails, see crypto/rand
	return hex.EncodeToString(b)
}

// ByIDs is the filter of some documents by _id.
func ByIDs(ids bson.A) bson.D {
	if len(ids) == 1 {
		return bson.D{{Key: "_id", Value: ids[0]}}
	}
	return bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}}
}
