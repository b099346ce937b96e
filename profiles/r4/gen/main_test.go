package main

import "testing"

func TestWithoutNarrative(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{
		{`{ "resourceType" : "A", "text": {"div":"x"}, "b": [ 1.00, "text" ] }`, `{"resourceType":"A","b":[1.00,"text"]}`},
		{`{"text":{},"a":{"text":"kept"}}`, `{"a":{"text":"kept"}}`},
		{`{"a":"é\u00e9"}`, `{"a":"é\u00e9"}`},
		{`{}`, `{}`},
	} {
		got, err := withoutNarrative([]byte(c[0]))
		if err != nil || string(got) != c[1] {
			t.Errorf("withoutNarrative(%s) = %s, %v; want %s", c[0], got, err, c[1])
		}
	}
}
