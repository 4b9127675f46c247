-- Written by leadpush-prefect before consent (version 2 of the tables): `whole` has ended with a failure, `half` was stopped.


CREATE TABLE leadpush_alembic_version (
    version_num character varying(32) NOT NULL
);

CREATE TABLE leadpush_claim (
    run integer NOT NULL,
    step smallint NOT NULL,
    batch integer NOT NULL,
    execution integer NOT NULL,
    owner text NOT NULL
);

CREATE TABLE leadpush_contact (
    run integer NOT NULL,
    number integer NOT NULL,
    contact_id text NOT NULL,
    subscribed boolean NOT NULL,
    data text NOT NULL,
    place text NOT NULL
);

CREATE TABLE leadpush_outcome (
    run integer NOT NULL,
    step smallint NOT NULL,
    number integer NOT NULL,
    status smallint NOT NULL,
    output text,
    code text,
    detail text,
    microseconds bigint NOT NULL,
    attempts integer NOT NULL,
    bytes bigint NOT NULL
);

CREATE TABLE leadpush_run (
    run integer NOT NULL,
    run_id text NOT NULL,
    campaign text NOT NULL,
    workspace text NOT NULL,
    status text NOT NULL,
    started_at text NOT NULL,
    finished_at text,
    state text,
    simulate boolean NOT NULL,
    include_unsubscribed boolean NOT NULL,
    execution integer NOT NULL,
    contacts integer NOT NULL,
    unsubscribed integer NOT NULL,
    invalid integer NOT NULL,
    batches integer NOT NULL,
    batch_size integer NOT NULL,
    source text NOT NULL,
    holder text DEFAULT ''::text NOT NULL,
    heartbeat bigint DEFAULT '0'::bigint NOT NULL
);

CREATE TABLE leadpush_step (
    run integer NOT NULL,
    step smallint NOT NULL,
    node text NOT NULL,
    output_key text NOT NULL,
    kind text NOT NULL,
    endpoint text NOT NULL,
    condition text NOT NULL,
    on_failure text NOT NULL,
    definition text NOT NULL,
    execution integer NOT NULL
);

CREATE VIEW leadpush_failures AS
 SELECT run.run_id,
    run.campaign,
    run.workspace,
    ( SELECT contact.contact_id
           FROM leadpush_contact contact
          WHERE ((contact.run = outcome.run) AND (contact.number = outcome.number))) AS contact_id,
    step.node,
    step.endpoint,
    step.on_failure,
    outcome.code,
    ((outcome.microseconds)::double precision / (1000)::double precision) AS milliseconds,
    outcome.attempts
   FROM ((leadpush_run run
     JOIN leadpush_step step ON ((step.run = run.run)))
     JOIN leadpush_outcome outcome ON (((outcome.run = step.run) AND (outcome.step = step.step))))
  WHERE (outcome.status = 3);

CREATE VIEW leadpush_outcomes AS
 SELECT run.run_id,
    run.campaign,
    run.workspace,
    ( SELECT contact.contact_id
           FROM leadpush_contact contact
          WHERE ((contact.run = outcome.run) AND (contact.number = outcome.number))) AS contact_id,
    step.node,
    step.output_key,
    step.endpoint,
        CASE outcome.status
            WHEN 1 THEN 'fetched'::text
            WHEN 2 THEN 'skipped'::text
            ELSE 'failed'::text
        END AS status,
    outcome.code,
    outcome.output,
    ((outcome.microseconds)::double precision / (1000)::double precision) AS milliseconds,
    outcome.attempts,
    outcome.bytes
   FROM ((leadpush_run run
     JOIN leadpush_step step ON ((step.run = run.run)))
     JOIN leadpush_outcome outcome ON (((outcome.run = step.run) AND (outcome.step = step.step))));

CREATE SEQUENCE leadpush_run_run_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE leadpush_run_run_seq OWNED BY leadpush_run.run;

CREATE VIEW leadpush_runs AS
 SELECT run_id,
    campaign,
    workspace,
    status,
    state,
    started_at,
    finished_at,
    simulate,
    include_unsubscribed,
    execution,
    contacts,
    unsubscribed,
    invalid,
    batches,
    source
   FROM leadpush_run;

CREATE TABLE leadpush_schema (
    version integer NOT NULL
);

CREATE VIEW leadpush_steps AS
 SELECT run.run_id,
    run.campaign,
    run.workspace,
    step.step,
    step.node,
    step.output_key,
    step.kind,
    step.endpoint,
    step.condition,
    step.on_failure,
    count(
        CASE outcome.status
            WHEN 1 THEN 1
            ELSE NULL::integer
        END) AS fetched,
    count(
        CASE outcome.status
            WHEN 2 THEN 1
            ELSE NULL::integer
        END) AS skipped,
    count(
        CASE outcome.status
            WHEN 3 THEN 1
            ELSE NULL::integer
        END) AS failed,
    COALESCE(sum(outcome.attempts), (0)::bigint) AS requests,
    (COALESCE(sum(outcome.bytes), (0)::numeric))::bigint AS bytes
   FROM ((leadpush_run run
     JOIN leadpush_step step ON ((step.run = run.run)))
     LEFT JOIN leadpush_outcome outcome ON (((outcome.run = step.run) AND (outcome.step = step.step))))
  GROUP BY run.run_id, run.campaign, run.workspace, step.step, step.node, step.output_key, step.kind, step.endpoint, step.condition, step.on_failure;

ALTER TABLE ONLY leadpush_run ALTER COLUMN run SET DEFAULT nextval('leadpush_run_run_seq'::regclass);

INSERT INTO leadpush_alembic_version VALUES ('0002');

INSERT INTO leadpush_claim VALUES (1, 0, 0, 1, '01a20fe3-4147-7f1e-baaf-69c5c540409e');
INSERT INTO leadpush_claim VALUES (1, 0, 1, 1, '01a20fe3-41e8-7e07-b0f4-01bcb8b3e41b');
INSERT INTO leadpush_claim VALUES (1, 1, 0, 1, '01a20fe3-4194-78c1-b6cb-fc7508b393a4');
INSERT INTO leadpush_claim VALUES (1, 1, 1, 1, '01a20fe3-422c-7482-96fd-757b162d69c8');
INSERT INTO leadpush_claim VALUES (2, 0, 0, 1, '01a20fe3-46ee-7b31-ac01-986205110845');
INSERT INTO leadpush_claim VALUES (2, 1, 0, 1, '01a20fe3-470f-7d3d-92f2-500040646841');

INSERT INTO leadpush_contact VALUES (1, 0, '1', true, '{"_id":"1","uuid":"1","subscribed":true,"attributes":{"name":"Ana"}}', 'line 2');
INSERT INTO leadpush_contact VALUES (1, 1, '2', true, '{"_id":"2","uuid":"2","subscribed":true,"attributes":{"name":"Bo"}}', 'line 3');
INSERT INTO leadpush_contact VALUES (1, 2, '3', true, '{"_id":"3","uuid":"3","subscribed":true,"attributes":{"name":"Cy"}}', 'line 4');
INSERT INTO leadpush_contact VALUES (1, 3, '4', true, '{"_id":"4","uuid":"4","subscribed":true,"attributes":{"name":"Di"}}', 'line 5');
INSERT INTO leadpush_contact VALUES (1, 4, '5', true, '{"_id":"5","uuid":"5","subscribed":true,"attributes":{"name":"Ed"}}', 'line 6');
INSERT INTO leadpush_contact VALUES (1, 5, '6', true, '{"_id":"6","uuid":"6","subscribed":true,"attributes":{"name":"Fi"}}', 'line 7');
INSERT INTO leadpush_contact VALUES (1, 6, '7', false, '{"_id":"7","uuid":"7","subscribed":false,"attributes":{"name":"Gus"}}', 'line 8');
INSERT INTO leadpush_contact VALUES (2, 0, '1', true, '{"_id":"1","uuid":"1","subscribed":true,"attributes":{"name":"Ana"}}', 'line 2');
INSERT INTO leadpush_contact VALUES (2, 1, '2', true, '{"_id":"2","uuid":"2","subscribed":true,"attributes":{"name":"Bo"}}', 'line 3');
INSERT INTO leadpush_contact VALUES (2, 2, '3', true, '{"_id":"3","uuid":"3","subscribed":true,"attributes":{"name":"Cy"}}', 'line 4');
INSERT INTO leadpush_contact VALUES (2, 3, '4', true, '{"_id":"4","uuid":"4","subscribed":true,"attributes":{"name":"Di"}}', 'line 5');
INSERT INTO leadpush_contact VALUES (2, 4, '5', true, '{"_id":"5","uuid":"5","subscribed":true,"attributes":{"name":"Ed"}}', 'line 6');
INSERT INTO leadpush_contact VALUES (2, 5, '6', true, '{"_id":"6","uuid":"6","subscribed":true,"attributes":{"name":"Fi"}}', 'line 7');
INSERT INTO leadpush_contact VALUES (2, 6, '7', false, '{"_id":"7","uuid":"7","subscribed":false,"attributes":{"name":"Gus"}}', 'line 8');

INSERT INTO leadpush_outcome VALUES (1, 0, 0, 1, '{"plan": "pro", "price": 1.10, "name": "Zoë"}', NULL, NULL, 2745, 1, 46);
INSERT INTO leadpush_outcome VALUES (1, 0, 1, 1, '{"plan": "free", "note": "O\"Brien \u0000 \\ tab\t"}', NULL, NULL, 2410, 1, 52);
INSERT INTO leadpush_outcome VALUES (1, 0, 2, 1, '{"plan": "pro", "big": 12345678901234567890.123}', NULL, NULL, 2287, 1, 48);
INSERT INTO leadpush_outcome VALUES (1, 0, 3, 3, NULL, 'http_status_404', '{"reason": "http_status", "message": "The API answered with HTTP 404.", "http_status": 404, "request": "GET http://127.0.0.1:36971/profile/4\nAccept: application/json\nAccept-Encoding: gzip, deflate\nUser-Agent: leadpush-prefect", "excerpt": "{\"error\": \"unknown\"}"}', 2209, 1, 20);
INSERT INTO leadpush_outcome VALUES (1, 0, 4, 1, '{"plan": "😀"}', NULL, NULL, 675, 1, 16);
INSERT INTO leadpush_outcome VALUES (1, 0, 5, 1, '{"plan": "free"}', NULL, NULL, 416, 1, 16);
INSERT INTO leadpush_outcome VALUES (1, 1, 0, 1, '"Hi Ana: pro"', NULL, NULL, 0, 0, 0);
INSERT INTO leadpush_outcome VALUES (1, 1, 1, 1, '"Hi Bo: free"', NULL, NULL, 0, 0, 0);
INSERT INTO leadpush_outcome VALUES (1, 1, 2, 1, '"Hi Cy: pro"', NULL, NULL, 0, 0, 0);
INSERT INTO leadpush_outcome VALUES (1, 1, 4, 1, '"Hi Ed: 😀"', NULL, NULL, 0, 0, 0);
INSERT INTO leadpush_outcome VALUES (1, 1, 5, 1, '"Hi Fi: free"', NULL, NULL, 0, 0, 0);
INSERT INTO leadpush_outcome VALUES (2, 0, 0, 1, '{"plan": "pro", "price": 1.10, "name": "Zoë"}', NULL, NULL, 1426, 1, 46);
INSERT INTO leadpush_outcome VALUES (2, 0, 1, 1, '{"plan": "free", "note": "O\"Brien \u0000 \\ tab\t"}', NULL, NULL, 1218, 1, 52);
INSERT INTO leadpush_outcome VALUES (2, 0, 2, 1, '{"plan": "pro", "big": 12345678901234567890.123}', NULL, NULL, 1158, 1, 48);
INSERT INTO leadpush_outcome VALUES (2, 0, 3, 3, NULL, 'http_status_404', '{"reason": "http_status", "message": "The API answered with HTTP 404.", "http_status": 404, "request": "GET http://127.0.0.1:36971/profile/4\nAccept: application/json\nAccept-Encoding: gzip, deflate\nUser-Agent: leadpush-prefect", "excerpt": "{\"error\": \"unknown\"}"}', 1082, 1, 20);
INSERT INTO leadpush_outcome VALUES (2, 1, 0, 1, '"Hi Ana: pro"', NULL, NULL, 0, 0, 0);
INSERT INTO leadpush_outcome VALUES (2, 1, 1, 1, '"Hi Bo: free"', NULL, NULL, 0, 0, 0);
INSERT INTO leadpush_outcome VALUES (2, 1, 2, 1, '"Hi Cy: pro"', NULL, NULL, 0, 0, 0);

INSERT INTO leadpush_run VALUES (1, 'whole', 'released', 'released', 'finished', '2026-11-24T23:28:01.316+00:00', '2026-11-24T23:28:01.777+00:00', 'Completed with failures', false, false, 1, 7, 1, 0, 2, 4, 'people.csv', '', 0);
INSERT INTO leadpush_run VALUES (2, 'half', 'released', 'released', 'stopped', '2026-11-24T23:28:02.790+00:00', '2026-11-24T23:28:02.855+00:00', 'ZeroDivisionError', false, false, 1, 7, 1, 0, 2, 4, 'people.csv', '', 0);

INSERT INTO leadpush_schema VALUES (2);

INSERT INTO leadpush_step VALUES (1, 0, 'profile', 'profile', 'fetch', '', '', 'stop', '216012ce2e96c4baed5dc4988ac98331', 1);
INSERT INTO leadpush_step VALUES (1, 1, 'message', 'message', 'render', '', '', 'stop', '63721ce54ec29d468f267c7f82e7fd4d', 1);
INSERT INTO leadpush_step VALUES (2, 0, 'profile', 'profile', 'fetch', '', '', 'stop', '216012ce2e96c4baed5dc4988ac98331', 1);
INSERT INTO leadpush_step VALUES (2, 1, 'message', 'message', 'render', '', '', 'stop', '63721ce54ec29d468f267c7f82e7fd4d', 1);

SELECT pg_catalog.setval('leadpush_run_run_seq', 2, true);

ALTER TABLE ONLY leadpush_alembic_version
    ADD CONSTRAINT leadpush_alembic_version_pkc PRIMARY KEY (version_num);

ALTER TABLE ONLY leadpush_claim
    ADD CONSTRAINT leadpush_claim_pkey PRIMARY KEY (run, step, batch);

ALTER TABLE ONLY leadpush_contact
    ADD CONSTRAINT leadpush_contact_pkey PRIMARY KEY (run, number);

ALTER TABLE ONLY leadpush_outcome
    ADD CONSTRAINT leadpush_outcome_pkey PRIMARY KEY (run, step, number);

ALTER TABLE ONLY leadpush_run
    ADD CONSTRAINT leadpush_run_pkey PRIMARY KEY (run);

ALTER TABLE ONLY leadpush_run
    ADD CONSTRAINT leadpush_run_run_id_key UNIQUE (run_id);

ALTER TABLE ONLY leadpush_step
    ADD CONSTRAINT leadpush_step_node UNIQUE (run, node);

ALTER TABLE ONLY leadpush_step
    ADD CONSTRAINT leadpush_step_pkey PRIMARY KEY (run, step);

