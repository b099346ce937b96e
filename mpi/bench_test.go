package mpi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"hutong/fhir"
	"hutong/mpi"
	"hutong/profiles"
)

const (
	surnamesOf = "王王王李李李张张张刘刘陈陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆"
	givenOf    = "伟芳娜敏静丽强磊洋艳勇杰娟涛明超秀霞平刚桂英华玉萍红梅建国文军波兰飞燕玲云志鹏浩宇轩子涵梓怡佳欣雨桐思远晨曦嘉豪俊熙一诺"
)

// citizenOf makes the n-th person of a synthetic region.
func citizenOf(n int) map[string]any {
	r := rand.New(rand.NewPCG(uint64(n), 42))
	pick := func(s string) string { rs := []rune(s); return string(rs[r.IntN(len(rs))]) }
	name := pick(surnamesOf) + pick(givenOf)
	if r.IntN(5) > 0 {
		name += pick(givenOf)
	}
	y, m, d := 1930+r.IntN(95), 1+r.IntN(12), 1+r.IntN(28)
	sex := r.IntN(2)
	p := mk(name, fmt.Sprintf("%04d-%02d-%02d", y, m, d), []string{"female", "male"}[sex])
	if r.IntN(10) < 7 {
		p["identifier"] = []any{citizen(gb(fmt.Sprintf("5001%02d%04d%02d%02d%02d%d", 1+r.IntN(40), y, m, d, r.IntN(100), 2*r.IntN(5)+sex))), id(profiles.SocialCard, fmt.Sprintf("A%08d", n))}
	}
	p["address"] = []any{map[string]any{"state": "重庆市", "city": "重庆市", "district": fmt.Sprintf("第%d区", r.IntN(38)), "line": []any{fmt.Sprintf("%s%s路%d号%d栋%d室", pick(givenOf), pick(givenOf), r.IntN(300), r.IntN(30), r.IntN(2000))}}}
	return phone(p, fmt.Sprintf("1%d%09d", 3+r.IntN(7), r.IntN(1e9)))
}

// populate fills a bench with n people, eight feeds at once.
func populate(tb testing.TB, b *bench, from, n int) {
	tb.Helper()
	var next atomic.Int64
	next.Store(int64(from))
	done := make(chan error, 8)
	for range 8 {
		go func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= from+n {
					done <- nil
					return
				}
				name := fmt.Sprintf("p%d", i)
				if err := b.x.Feed(context.Background(), key(name), b.h.put("org-muni", name, citizenOf(i))); err != nil {
					done <- err
					return
				}
			}
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			tb.Fatal(err)
		}
	}
}

const benchPeople = 20_000

func benchOn(b *testing.B, people int) *bench {
	bb := &bench{t: b, h: &hospital{patients: map[fhir.Key]fhir.Resource{}}, space: newSpace(b, vfs.Default, b.TempDir())}
	bb.open()
	populate(b, bb, 0, people)
	b.ResetTimer()
	return bb
}

// BenchmarkFeed takes in one new person after another, fsync included.
func BenchmarkFeed(b *testing.B) {
	bb := benchOn(b, benchPeople)
	for i := range b.N {
		bb.feed("org-dist", fmt.Sprintf("q%d", i), citizenOf(benchPeople+i))
	}
}

// BenchmarkFeedParallel is eight hospitals at once.
func BenchmarkFeedParallel(b *testing.B) {
	bb := benchOn(b, benchPeople)
	populate(b, bb, benchPeople, b.N)
}

// BenchmarkFeedKnown links a second record of a known person.
func BenchmarkFeedKnown(b *testing.B) {
	bb := benchOn(b, benchPeople)
	for i := range b.N {
		bb.feed("org-dist", fmt.Sprintf("q%d", i), citizenOf(i%benchPeople))
	}
}

func BenchmarkMatch(b *testing.B) {
	bb := benchOn(b, benchPeople)
	queries := make([][]byte, 1000)
	for i := range queries {
		p := citizenOf(i)
		delete(p, "identifier")
		queries[i], _ = json.Marshal(p)
	}
	b.ResetTimer()
	for i := range b.N {
		if found, err := bb.x.Match(b.Context(), queries[i%1000], mpi.MatchOptions{}); err != nil || len(found) == 0 {
			b.Fatal(len(found), err)
		}
	}
}

func BenchmarkMembers(b *testing.B) {
	bb := benchOn(b, 1000)
	for i := range b.N {
		if _, err := bb.x.Members(b.Context(), key(fmt.Sprintf("p%d", i%1000))); err != nil {
			b.Fatal(err)
		}
	}
}
