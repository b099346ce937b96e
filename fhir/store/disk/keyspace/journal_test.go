package keyspace

import (
	"reflect"
	"testing"
	"time"
)

// FuzzEntry: what is written is read back, and damage is an error, no panic.
func FuzzEntry(f *testing.F) {
	e := Entry{T: 7, At: time.UnixMilli(1234567).UTC(), Writes: []Put{
		{Key: []byte("mpi\x00k"), Value: []byte("v")}, {Key: []byte("a\x00b"), Delete: true}, {Key: []byte("a\x00c"), Value: []byte{}},
	}}
	f.Add(appendEntry(nil, &e))
	f.Fuzz(func(t *testing.T, b []byte) {
		var got Entry
		if got.read(b) != nil {
			return
		}
		var again Entry
		if err := again.read(appendEntry(nil, &got)); err != nil || !reflect.DeepEqual(got, again) {
			t.Errorf("%+v became %+v (%v)", got, again, err)
		}
	})
}
