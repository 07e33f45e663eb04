-- How long a state held: seconds by code, `{0: 2400, 1: 1200}` as an array whose subscripts are the codes. Between two
-- readings the earlier one holds. Each level keeps only what lies between its own first and last reading, so that hours
-- can be joined into days exactly; what lies before and after is added by the views of 0007.
CREATE TYPE state_span AS (code integer, until timestamptz, seconds double precision[]);

CREATE FUNCTION state_span_read(span state_span, value double precision, at timestamptz) RETURNS state_span
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF span.until IS NOT NULL THEN
        span.seconds[span.code] := coalesce(span.seconds[span.code], 0) + extract(epoch FROM at - span.until);
    END IF;
    span.code := value;
    span.until := at;
    RETURN span;
END
$$;


CREATE FUNCTION state_span_join(
    span state_span, seconds double precision[], first_time timestamptz, last double precision, last_time timestamptz
) RETURNS state_span
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF span.until IS NOT NULL THEN
        span.seconds[span.code] := coalesce(span.seconds[span.code], 0)
            + extract(epoch FROM least(first_time - span.until, interval '25 hours'));  -- as in 0007
    END IF;
    FOR code IN coalesce(array_lower(seconds, 1), 0) .. coalesce(array_upper(seconds, 1), -1) LOOP
        span.seconds[code] := coalesce(span.seconds[code], 0) + coalesce(seconds[code], 0);
    END LOOP;
    span.code := last;
    span.until := last_time;
    RETURN span;
END
$$;

CREATE FUNCTION state_span_seconds(span state_span) RETURNS double precision[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce((span).seconds, '{}');

-- state_seconds(value, time ORDER BY time)
CREATE AGGREGATE state_seconds(double precision, timestamptz) (
    SFUNC = state_span_read, STYPE = state_span, FINALFUNC = state_span_seconds, PARALLEL = SAFE
);
-- state_seconds(seconds, first_time, last, last_time ORDER BY first_time)
CREATE AGGREGATE state_seconds(double precision[], timestamptz, double precision, timestamptz) (
    SFUNC = state_span_join, STYPE = state_span, FINALFUNC = state_span_seconds, PARALLEL = SAFE
);
