//go:build pin

package main

import (
	_ "github.com/alecthomas/kong"
	_ "github.com/chromedp/chromedp"
	_ "github.com/cockroachdb/pebble/v2"
	_ "github.com/gin-gonic/gin"
	_ "github.com/gofhir/fhirpath"
	_ "github.com/golang-jwt/jwt/v5"
	_ "github.com/google/fhir/go/jsonformat"
	_ "github.com/klauspost/compress/zstd"
	_ "github.com/mozillazg/go-pinyin"
	_ "github.com/nats-io/nats-server/v2/server"
	_ "github.com/nats-io/nats.go"
	_ "github.com/ory/fosite"
	_ "github.com/prometheus/client_golang/prometheus"
	_ "github.com/rs/zerolog"
	_ "go.mongodb.org/mongo-driver/v2/mongo"
	_ "golang.org/x/text/unicode/norm"
	_ "golang.org/x/crypto/argon2"
	_ "golang.org/x/sync/errgroup"
	_ "gopkg.in/yaml.v3"
)
