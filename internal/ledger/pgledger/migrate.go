package pgledger

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// Version is the version of the schema that this program knows.
const Version = 1

//go:embed migrations/*.sql
var migrations embed.FS

// migrateTimeout bounds one migration.
const migrateTimeout = time.Minute

// ErrSchema means that the database does not have the schema that this program
// knows. Only a person can mend that.
var ErrSchema = errors.New("the ledger's database does not have the right schema")

// Migrate brings the schema to Version, from any version before it. Two at a time
// do no harm, and neither does one too many. It grants nothing.
func Migrate(ctx context.Context, to ledger.Postgres) error {
	config, err := connConfig(to)
	if err != nil {
		return fmt.Errorf("remediation.ledger.postgres.dsn: %w", err)
	}
	if err := readPassword(to, config); err != nil {
		return fmt.Errorf("migrate the ledger: %w", err)
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("migrate the ledger: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if encoding := conn.PgConn().ParameterStatus("server_encoding"); encoding != "UTF8" {
		return fmt.Errorf("migrate the ledger: %w", encodingError(encoding))
	}
	for version := 1; version <= Version; version++ {
		if err := migrate(ctx, conn, version); err != nil {
			return fmt.Errorf("migrate the ledger to version %d: %w", version, err)
		}
	}
	have, err := version(ctx, conn)
	if err != nil {
		return fmt.Errorf("migrate the ledger: %w", err)
	}
	return versionError(have)
}

// migrate applies one migration in a transaction of its own, unless it has been
// applied.
func migrate(ctx context.Context, conn *pgx.Conn, to int) error {
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_catalog.pg_advisory_xact_lock($1)", lockOf("")); err != nil {
			return err
		}
		if have, err := version(ctx, conn); err != nil || have >= to {
			return err
		}
		_, err := conn.PgConn().Exec(ctx, migration(to)).ReadAll()
		return err
	})
}

// version is the schema's version; 0: there is none.
func version(ctx context.Context, conn *pgx.Conn) (have int, err error) {
	const exists = "SELECT EXISTS (SELECT FROM pg_catalog.pg_tables WHERE schemaname = 'pgbailiff' AND tablename = 'migrations')"
	there := false
	if err := conn.QueryRow(ctx, exists).Scan(&there); err != nil || !there {
		return 0, err
	}
	err = conn.QueryRow(ctx, "SELECT coalesce(pg_catalog.max(version), 0) FROM pgbailiff.migrations").Scan(&have)
	return have, err
}

// migration is the text of one migration, which says itself that it was applied.
func migration(to int) string {
	text, err := migrations.ReadFile(fmt.Sprintf("migrations/%04d.sql", to))
	if err != nil {
		return fmt.Sprintf("there is no migration %d", to) // no SQL, so it fails
	}
	return fmt.Sprintf("%s\nINSERT INTO pgbailiff.migrations (version) VALUES (%d);\n", strings.TrimSpace(string(text)), to)
}

// SQL is what Migrate does, for psql: one transaction for each version.
func SQL() string {
	var all strings.Builder
	all.WriteString("-- The schema of pgbailiff's ledger. Run it as the role that shall own the tables:\n" +
		"-- psql -v ON_ERROR_STOP=1 -f FILE\n" +
		"-- Leave out the versions that SELECT version FROM pgbailiff.migrations names.\n")
	for version := 1; version <= Version; version++ {
		fmt.Fprintf(&all, "\n-- version %d\nBEGIN;\n%sCOMMIT;\n", version, migration(version))
	}
	return all.String()
}

// versionError is nil for the version that this program knows.
func versionError(have int) error {
	switch {
	case have == Version:
		return nil
	case have == 0:
		return fmt.Errorf("%w: there are no tables in schema pgbailiff; run `pgbailiff ledger migrate`", ErrSchema)
	case have < Version:
		return fmt.Errorf("%w: it is of version %d, and this pgbailiff knows %d; run `pgbailiff ledger migrate`", ErrSchema, have, Version)
	default:
		return fmt.Errorf("%w: it is of version %d, and this pgbailiff knows %d; %s", ErrSchema, have, Version,
			"start the newer pgbailiff that has run `pgbailiff ledger migrate`")
	}
}

func encodingError(encoding string) error {
	return fmt.Errorf("%w: the database's encoding is %s; make one with ENCODING UTF8 and run `pgbailiff ledger migrate` there", ErrSchema, encoding)
}

// checkError tells apart what is wrong with the schema.
func checkError(err error) error {
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch refused.Code {
		case "42P01", "3F000": // undefined_table, invalid_schema_name
			return versionError(0)
		case "42501": // insufficient_privilege
			return fmt.Errorf("%w: %s; GRANT what the replica's role needs, or run `pgbailiff ledger migrate` as that role", ErrSchema, refused.Message)
		}
	}
	return err
}

// Grants is what the role of a replica needs, if it does not own the tables. It
// must be granted again after each migration.
func Grants(role string) string {
	role = pgx.Identifier{role}.Sanitize()
	return "GRANT USAGE ON SCHEMA pgbailiff TO " + role + ";\n" +
		"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA pgbailiff TO " + role + ";\n"
}
