"""Calling rungs in one statement: what was some twenty round trips for three rungs is one."""

from alembic import op

revision = "alerts_0002"
down_revision = "alerts_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the functions; they run with the rights of who calls them."""
    op.execute(
        """
        CREATE FUNCTION alerts.happened(which bigint, what_ text) RETURNS void
        LANGUAGE sql AS $$
          INSERT INTO alerts.event (position, alert, what)
          SELECT coalesce(max(position), 0) + 1, which, what_ FROM alerts.event
        $$;

        -- Tell an alert, unless it is told: by itself, or together with the one it has joined.
        CREATE FUNCTION alerts.tell(which bigint) RETURNS void LANGUAGE plpgsql AS $$
        DECLARE head bigint;
        BEGIN
          UPDATE alerts.alert SET told = clock_timestamp() WHERE id = which AND told IS NULL
            RETURNING joined INTO head;
          IF NOT FOUND THEN RETURN; END IF;
          IF head IS NOT NULL THEN
            PERFORM alerts.happened(which, 'told-together');
            RETURN;
          END IF;
          PERFORM alerts.happened(which, 'told');
          INSERT INTO alerts.message (alert, person, mail)
          SELECT a.id, p.id, d.mail FROM alerts.alert a
          JOIN service.person p ON p.organisation = a.organisation AND a.role = ANY(p.roles)
            AND p.active AND (a.people IS NULL OR p.id = ANY(a.people))
          JOIN alerts.address d ON d.person = p.id WHERE a.id = which;
        END $$;

        -- Call rungs that were not called; return those that are new. The caller has the lock.
        CREATE FUNCTION alerts.call(
          journey_ text, version bigint, wanted jsonb, now_ timestamptz, bundle_minutes integer
        ) RETURNS bigint[] LANGUAGE plpgsql AS $$
        DECLARE one record; id_ bigint; made bigint[] := '{}';
        BEGIN
          FOR one IN SELECT * FROM jsonb_to_recordset(wanted) AS w(
            cause text, rung integer, organisation text, role text, kind text, urgency text,
            code text, activity text, about text, deputy boolean, why text, worse text,
            bundle text, due timestamptz, tell_at timestamptz, people jsonb)
          LOOP
            INSERT INTO alerts.alert (journey, cause, rung, seen, organisation, role, kind,
              urgency, code, activity, about, deputy, why, worse, bundle, due, tell_at, people)
            VALUES (journey_, one.cause, one.rung, version, one.organisation, one.role, one.kind,
              one.urgency, one.code, one.activity, one.about, one.deputy, one.why, one.worse,
              one.bundle, one.due, one.tell_at, CASE WHEN jsonb_typeof(one.people) = 'array'
                THEN ARRAY(SELECT jsonb_array_elements_text(one.people)) END)
            ON CONFLICT DO NOTHING RETURNING id INTO id_;
            CONTINUE WHEN NOT FOUND;
            made := made || id_;
            PERFORM alerts.happened(id_, CASE WHEN one.rung = 0 THEN 'raised' ELSE 'escalated' END);
            -- Told together with an open one of the same cause, if that was told just now.
            IF one.urgency <> 'critical' THEN
              UPDATE alerts.alert SET joined = (
                SELECT min(a.id) FROM alerts.alert a WHERE a.organisation = one.organisation
                AND a.role = one.role AND a.bundle = one.bundle AND a.id < id_
                AND a.rung <= one.rung AND a.joined IS NULL AND a.ended IS NULL
                AND a.acknowledged IS NULL
                AND a.raised > clock_timestamp() - make_interval(mins => bundle_minutes))
              WHERE id = id_;
            END IF;
            IF one.tell_at <= now_ THEN
              PERFORM alerts.tell(id_);
            END IF;
          END LOOP;
          RETURN made;
        END $$;
        """
    )
