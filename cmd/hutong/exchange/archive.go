package exchange

import (
	"context"
	"encoding/binary"
	"net/http"
	"path/filepath"
	"time"

	"github.com/gin-gonic/gin"

	"hutong/fhir"
	"hutong/fhir/rest"
	"hutong/fhir/store/disk/backup"
	"hutong/fhir/store/disk/retain"
	"hutong/fhir/store/disk/revive"
	"hutong/gateway/audit"
	"hutong/gateway/principal"
)

// openArchive begins to archive what is committed, if the settings name a
// folder for it; otherwise no journal is kept for one.
func (e *Exchange) openArchive(ctx context.Context) (err error) {
	living, ok := e.Store.(*revive.Store)
	if !ok {
		return nil // the engine has a backup of its own
	}
	if e.cfg.Archive == "" {
		return living.Engine().Spaces().StopJournal(ctx)
	}
	dir, err := e.cfg.engineDir()
	if err != nil {
		return err
	}
	e.archive, err = backup.Open(ctx, backup.Config{
		Store: living, Engine: func() backup.Engine { return living.Engine() },
		Dir: e.cfg.Archive, Staging: filepath.Join(filepath.Dir(dir), ".checkpoint"), Log: e.log,
	})
	return err
}

// keeping does what keeps the store in the background until ctx ends: the
// archive, copies, retention.
func (e *Exchange) keeping(ctx context.Context) {
	if e.archive != nil {
		e.idle.Go(func() { e.archive.Run(ctx) })
		e.every(ctx, e.cfg.CopyEvery, e.copyStore)
	}
	if e.cfg.KeepDays > 0 {
		e.every(ctx, 24*time.Hour, e.retainDaily)
	}
}

// every does work again and again, first after one interval; 0 is never.
func (e *Exchange) every(ctx context.Context, interval time.Duration, work func(context.Context)) {
	if interval <= 0 {
		return
	}
	e.idle.Go(func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				work(ctx)
			}
		}
	})
}

func (e *Exchange) copyStore(ctx context.Context) {
	m, err := e.archive.Copy(ctx)
	if err != nil {
		e.log.Error().Err(err).Msg("archive: the store could not be copied")
		return
	}
	e.log.Info().Uint64("t", uint64(m.T)).Int("files", len(m.Files)).Msg("archive: the store was copied")
}

// retainDaily drops the versions that the settings no longer keep.
func (e *Exchange) retainDaily(ctx context.Context) {
	out, err := e.retain(ctx)
	if err != nil {
		e.log.Error().Err(err).Msg("retention: old versions could not be dropped; it is tried again")
		return
	}
	e.log.Info().Uint64("horizon", uint64(out.Horizon)).Int("versions", out.Versions).Msg("retention: old versions were dropped")
}

func (e *Exchange) retain(ctx context.Context) (retain.Purged, error) {
	living, ok := e.Store.(*revive.Store)
	if !ok || e.cfg.KeepDays <= 0 {
		return retain.Purged{}, fhir.Errorf(fhir.NotFound, "this exchange keeps all versions: start it with --keep-days N")
	}
	followed, err := e.followed(ctx)
	if err != nil {
		return retain.Purged{}, err
	}
	return living.Engine().Retain(ctx, retain.Policy{
		MaxAge: time.Duration(e.cfg.KeepDays) * 24 * time.Hour, KeepLast: e.cfg.KeepLast, Followed: followed,
	})
}

// followed is the newest commit that all who follow the change log have read:
// the tail of events, whose cursor is a stream and a T, and the archive.
func (e *Exchange) followed(ctx context.Context) (fhir.T, error) {
	cursor, err := e.Store.Space("events").Get(ctx, []byte("cursor"))
	if err != nil || len(cursor) < 16 {
		return 0, err
	}
	t := fhir.T(binary.BigEndian.Uint64(cursor[8:]))
	if e.archive != nil {
		t = min(t, e.archive.Status().T)
	}
	return t, nil
}

// operator admits the administrators of the exchange, who see no records.
func operator(c *gin.Context) bool {
	p := principal.From(c.Request.Context())
	if p != nil && (p.Open || p.Has(principal.Admin)) {
		return true
	}
	rest.WriteError(c, fhir.Errorf(fhir.Forbidden, "this is for the operators of the exchange"))
	return false
}

// mountAdmin mounts what operators ask of a running exchange.
func (e *Exchange) mountAdmin(r *gin.RouterGroup) {
	r.GET("/backup", e.backupStatus)
	r.POST("/backup", e.backupNow)
	r.POST("/retention", e.retainNow)
}

// archived reports whether there is an archive, and answers if not.
func (e *Exchange) archived(c *gin.Context) bool {
	if e.archive == nil {
		rest.WriteError(c, fhir.Errorf(fhir.NotFound, "this exchange keeps no archive: start it with --archive DIR"))
		return false
	}
	return true
}

// backupStatus is GET /api/admin/backup: how far the archive is.
func (e *Exchange) backupStatus(c *gin.Context) {
	if operator(c) && e.archived(c) {
		c.JSON(http.StatusOK, e.archive.Status())
	}
}

// backupNow is POST /api/admin/backup: a copy of the store into the archive's
// folder, which only the settings name.
func (e *Exchange) backupNow(c *gin.Context) {
	if !operator(c) || !e.archived(c) || !e.recorded(c, "backup") {
		return
	}
	_ = http.NewResponseController(c.Writer).SetWriteDeadline(time.Time{}) // a large store takes as long as it takes
	// A copy that was begun is finished, whoever waits for it.
	m, err := e.archive.Copy(context.WithoutCancel(c.Request.Context()))
	if err != nil {
		rest.WriteError(c, fhir.Errorf(fhir.Internal, "backup: %w", err))
		return
	}
	c.JSON(http.StatusOK, m)
}

// retainNow is POST /api/admin/retention: what is done daily, now.
func (e *Exchange) retainNow(c *gin.Context) {
	if !operator(c) || !e.recorded(c, "retention") {
		return
	}
	out, err := e.retain(c.Request.Context())
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	c.JSON(http.StatusOK, out)
}

// recorded writes what an operator does into the trail, or answers that it
// could not.
func (e *Exchange) recorded(c *gin.Context, what string) bool {
	if e.trail == nil {
		return true
	}
	err := e.trail.Event(c.Request.Context(), audit.Event{Action: audit.Workflow, Reason: what})
	if err != nil {
		rest.WriteError(c, err)
	}
	return err == nil
}
