package answer

import "sync"

// largest is the capacity, in bytes, up to which a buffer is kept: a piece of a
// Bundle with a large resource at its end.
const largest = 256 << 10

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// Buffer gives an empty buffer for a text that is written and then forgotten.
// Whoever took it gives it back by Release and uses it no more.
func Buffer() *[]byte { return buffers.Get().(*[]byte) }

// Release takes a buffer back.
func Release(b *[]byte) {
	if cap(*b) > largest {
		return
	}
	*b = (*b)[:0]
	buffers.Put(b)
}
