package app

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/pgbailiff/pgbailiff/internal/config"
)

// reloadRequest asks for a reload.
type reloadRequest struct {
	by string // the operator who asks; empty: nobody in particular
	// result is buffered, so that the reload never blocks on a caller that has
	// stopped waiting.
	result chan<- reloadResult
}

// reloadResult is how a reload has ended.
type reloadResult struct {
	err      error   // why the old configuration was kept
	badFiles []error // the mistakes in servers_files, whose old servers were kept
}

// reloadOnRequest reloads on SIGHUP and on request until the context ends, and at
// each tick reads the servers_files that have changed. It is one goroutine, so there
// is one reload at a time, from reading the file to the swap, without a lock: a file
// that cannot be read for minutes holds up nothing but reloads.
func (a *app) reloadOnRequest(ctx context.Context, hangup <-chan os.Signal, tick <-chan time.Time) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick:
			a.pollFiles()
		case <-hangup:
			a.reopenLedger(ctx)
			_ = a.reload(ctx, "") // which has logged its error
		case request := <-a.reloads:
			err := a.reload(ctx, request.by)
			request.result <- reloadResult{err, a.badFiles()}
		}
	}
}

// requestReload waits for its turn and for the result. When the context ends
// before its turn, nothing is loaded.
func (a *app) requestReload(ctx context.Context, by string) (badFiles []error, _ error) {
	result := make(chan reloadResult, 1)
	select {
	case a.reloads <- reloadRequest{by, result}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	select {
	case r := <-result:
		return r.badFiles, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// reopenLedger follows a ledger file that was renamed.
func (a *app) reopenLedger(ctx context.Context) {
	if a.file == nil {
		return
	}
	path := a.generations.current.Load().cfg.Remediation.Ledger.File
	if err := a.file.Reopen(ctx, path); err != nil {
		level.Error(a.logger).Log("msg", "Keeping the old ledger file", "err", err)
	}
}

// reload swaps the whole configuration, or keeps the old one. What an operator has
// loaded is in the ledger.
func (a *app) reload(ctx context.Context, by string) error {
	logger := a.logger
	if by != "" {
		logger = log.With(logger, "by", by)
	}
	cfg, err := config.Load(a.options.ConfigFile)
	if err == nil {
		err = a.apply(cfg)
	}
	if err != nil {
		a.metrics.reloadOK.Set(0)
		level.Error(logger).Log("msg", "Keeping the old configuration", "err", err)
		return err
	}
	level.Info(logger).Log("msg", "Loaded the configuration", "file", a.options.ConfigFile)
	if by != "" {
		_ = a.ledger.Reloaded(ctx, by, time.Now()) // which has logged its error; it is loaded all the same
	}
	return nil
}

// apply makes the configuration the current one. Until the swap everything that
// fails leaves the old one as it was.
func (a *app) apply(cfg *config.Config) error {
	if err := checkUnchangeable(a.generations.current.Load(), cfg); err != nil {
		return err
	}
	access, err := checkAccess(cfg, a.options)
	if err != nil {
		return err
	}
	if err := a.serve(cfg, cfg.ReadServersFiles(a.files), access); err != nil {
		return err
	}
	now := a.generations.current.Load()
	if len(now.servers) == 0 {
		level.Warn(a.logger).Log("msg", "There is no server", "hint", "servers_files match no file that lists one, and servers is empty")
	}
	if now.nameless {
		level.Warn(a.logger).Log("msg", "Nobody can prove a name, so there is no operator",
			"hint", "set people.user_header, or basic_auth_users or client certificates in --web.config.file")
	}
	a.metrics.reloadOK.Set(1)
	a.metrics.reloadTime.SetToCurrentTime()
	return nil
}

// serve makes a generation of the configuration and of the servers_files, and swaps
// it in.
func (a *app) serve(cfg *config.Config, files *config.ServersFiles, access access) error {
	before := a.generations.current.Load()
	next, fresh, err := a.build(cfg.With(files), access, before)
	if err != nil {
		return err
	}
	if before != nil && cfg.Remediation.Ledger.File != before.cfg.Remediation.Ledger.File {
		if err := a.file.Reopen(context.Background(), cfg.Remediation.Ledger.File); err != nil {
			return err
		}
	}
	limitGarbage(len(next.servers))
	for _, server := range fresh {
		server.Start()
	}
	a.shared.Serve(next.remediation)
	if err := a.generations.swap(next); err != nil {
		for _, server := range fresh {
			server.Close()
		}
		return err
	}
	a.loaded = cfg
	a.showFiles(files)
	return nil
}

// checkUnchangeable refuses what only a restart can change.
func checkUnchangeable(before *generation, cfg *config.Config) error {
	if before == nil {
		return nil
	}
	was, now := before.cfg.Remediation.Ledger, cfg.Remediation.Ledger
	switch {
	case cfg.Webhook.ListenAddress != before.cfg.Webhook.ListenAddress:
		return errors.New("webhook.listen_address: a new address needs a restart")
	case cfg.Webhook.WebConfigFile != before.cfg.Webhook.WebConfigFile:
		return errors.New("webhook.web_config_file: another file needs a restart (what is in the file does not)")
	case (now.File == "") != (was.File == ""):
		return errors.New("remediation.ledger.file: with or without a file needs a restart")
	case now.Postgres != was.Postgres:
		return errors.New("remediation.ledger.postgres: another database needs a restart (what is in the password_file does not)")
	case now.Retention != was.Retention:
		return errors.New("remediation.ledger.retention: another time needs a restart")
	}
	return nil
}
