package verified_test

import (
	"context"
	"errors"
	"testing"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/fhir/store/disk"
	"hutong/gateway/auth/verified"
)

// failing fails writes on order.
type failing struct {
	store.Space
	err error
}

func (f *failing) Apply(ctx context.Context, w []store.Write) error {
	return errors.Join(f.err, f.Space.Apply(ctx, w))
}

// TestSince: writes of the kinds are counted, done or not, others are not; after
// one whose end nobody knows nothing may be remembered.
func TestSince(t *testing.T) {
	t.Parallel()
	st, err := disk.Open(t.TempDir(), disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}()
	f := &failing{Space: st.Space("auth")}
	c := verified.Counting(f, "revoked/", "epoch/")
	put := func(key string, cond store.Condition) (counted bool, err error) {
		before := c.Now()
		err = c.Apply(t.Context(), []store.Write{{Key: []byte("user/x"), Value: []byte("1")}, {Key: []byte(key), Value: []byte("1"), If: cond}})
		return c.Now() != before, err
	}
	for _, x := range []struct {
		key     string
		cond    store.Condition
		counted bool
		fails   bool
	}{
		{"session/1", store.Always, false, false}, {"revoked/1", store.Always, true, false}, {"epoch/1", store.Always, true, false},
		{"revoked", store.Always, false, false}, {"revoked/1", store.IfAbsent, true, true},
	} {
		if counted, err := put(x.key, x.cond); counted != x.counted || err != nil != x.fails || c.Now() == 0 {
			t.Errorf("%s: counted %v, %v, now %d", x.key, counted, err, c.Now())
		}
	}
	f.err = fhir.Errorf(fhir.Busy, "it may yet")
	if _, err := put("session/2", store.Always); err == nil || c.Now() == 0 {
		t.Errorf("a failure that is no revocation: %v, now %d", err, c.Now())
	}
	if _, err := put("epoch/2", store.Always); err == nil || c.Now() != 0 {
		t.Errorf("a revocation that may yet be made: %v, now %d", err, c.Now())
	}
	if (*verified.Since)(nil).Now() != 0 {
		t.Error("without a count something may be remembered")
	}
}
