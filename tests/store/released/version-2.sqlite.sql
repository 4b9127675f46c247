-- Written by leadpush-prefect before consent (version 2 of the tables): `whole` has ended with a failure, `half` was stopped.
BEGIN TRANSACTION;
CREATE TABLE leadpush_alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT leadpush_alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "leadpush_alembic_version" VALUES('0002');
CREATE TABLE leadpush_claim (
	run INTEGER NOT NULL, 
	step SMALLINT NOT NULL, 
	batch INTEGER NOT NULL, 
	execution INTEGER NOT NULL, 
	owner TEXT NOT NULL, 
	PRIMARY KEY (run, step, batch)
);
INSERT INTO "leadpush_claim" VALUES(1,0,0,1,'01a20fe3-3308-7846-93d0-8d78855383f0');
INSERT INTO "leadpush_claim" VALUES(1,1,0,1,'01a20fe3-3336-7e87-8ae9-90209c9a2455');
INSERT INTO "leadpush_claim" VALUES(1,0,1,1,'01a20fe3-3344-77d5-a74a-10604a48de0a');
INSERT INTO "leadpush_claim" VALUES(1,1,1,1,'01a20fe3-334c-7ee1-8dba-638b4c8c82bf');
INSERT INTO "leadpush_claim" VALUES(2,0,0,1,'01a20fe3-3805-7e0f-93bb-5c4e92f37262');
INSERT INTO "leadpush_claim" VALUES(2,1,0,1,'01a20fe3-3826-729c-b75c-2a5878150100');
CREATE TABLE leadpush_contact (
	run INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	contact_id TEXT NOT NULL, 
	subscribed BOOLEAN NOT NULL, 
	data TEXT NOT NULL, 
	place TEXT NOT NULL, 
	PRIMARY KEY (run, number)
)
 WITHOUT ROWID

;
INSERT INTO "leadpush_contact" VALUES(1,0,'1',1,'{"_id":"1","uuid":"1","subscribed":true,"attributes":{"name":"Ana"}}','line 2');
INSERT INTO "leadpush_contact" VALUES(1,1,'2',1,'{"_id":"2","uuid":"2","subscribed":true,"attributes":{"name":"Bo"}}','line 3');
INSERT INTO "leadpush_contact" VALUES(1,2,'3',1,'{"_id":"3","uuid":"3","subscribed":true,"attributes":{"name":"Cy"}}','line 4');
INSERT INTO "leadpush_contact" VALUES(1,3,'4',1,'{"_id":"4","uuid":"4","subscribed":true,"attributes":{"name":"Di"}}','line 5');
INSERT INTO "leadpush_contact" VALUES(1,4,'5',1,'{"_id":"5","uuid":"5","subscribed":true,"attributes":{"name":"Ed"}}','line 6');
INSERT INTO "leadpush_contact" VALUES(1,5,'6',1,'{"_id":"6","uuid":"6","subscribed":true,"attributes":{"name":"Fi"}}','line 7');
INSERT INTO "leadpush_contact" VALUES(1,6,'7',0,'{"_id":"7","uuid":"7","subscribed":false,"attributes":{"name":"Gus"}}','line 8');
INSERT INTO "leadpush_contact" VALUES(2,0,'1',1,'{"_id":"1","uuid":"1","subscribed":true,"attributes":{"name":"Ana"}}','line 2');
INSERT INTO "leadpush_contact" VALUES(2,1,'2',1,'{"_id":"2","uuid":"2","subscribed":true,"attributes":{"name":"Bo"}}','line 3');
INSERT INTO "leadpush_contact" VALUES(2,2,'3',1,'{"_id":"3","uuid":"3","subscribed":true,"attributes":{"name":"Cy"}}','line 4');
INSERT INTO "leadpush_contact" VALUES(2,3,'4',1,'{"_id":"4","uuid":"4","subscribed":true,"attributes":{"name":"Di"}}','line 5');
INSERT INTO "leadpush_contact" VALUES(2,4,'5',1,'{"_id":"5","uuid":"5","subscribed":true,"attributes":{"name":"Ed"}}','line 6');
INSERT INTO "leadpush_contact" VALUES(2,5,'6',1,'{"_id":"6","uuid":"6","subscribed":true,"attributes":{"name":"Fi"}}','line 7');
INSERT INTO "leadpush_contact" VALUES(2,6,'7',0,'{"_id":"7","uuid":"7","subscribed":false,"attributes":{"name":"Gus"}}','line 8');
CREATE TABLE leadpush_outcome (
	run INTEGER NOT NULL, 
	step SMALLINT NOT NULL, 
	number INTEGER NOT NULL, 
	status SMALLINT NOT NULL, 
	output TEXT, 
	code TEXT, 
	detail TEXT, 
	microseconds BIGINT NOT NULL, 
	attempts INTEGER NOT NULL, 
	bytes BIGINT NOT NULL, 
	PRIMARY KEY (run, step, number)
)
 WITHOUT ROWID

;
INSERT INTO "leadpush_outcome" VALUES(1,0,0,1,'{"plan": "pro", "price": 1.10, "name": "Zoë"}',NULL,NULL,5545,1,46);
INSERT INTO "leadpush_outcome" VALUES(1,0,1,1,'{"plan": "free", "note": "O\"Brien \u0000 \\ tab\t"}',NULL,NULL,2351,1,52);
INSERT INTO "leadpush_outcome" VALUES(1,0,2,1,'{"plan": "pro", "big": 12345678901234567890.123}',NULL,NULL,1887,1,48);
INSERT INTO "leadpush_outcome" VALUES(1,0,3,3,NULL,'http_status_404','{"reason": "http_status", "message": "The API answered with HTTP 404.", "http_status": 404, "request": "GET http://127.0.0.1:46775/profile/4\nAccept: application/json\nAccept-Encoding: gzip, deflate\nUser-Agent: leadpush-prefect", "excerpt": "{\"error\": \"unknown\"}"}',3225,1,20);
INSERT INTO "leadpush_outcome" VALUES(1,0,4,1,'{"plan": "😀"}',NULL,NULL,630,1,16);
INSERT INTO "leadpush_outcome" VALUES(1,0,5,1,'{"plan": "free"}',NULL,NULL,537,1,16);
INSERT INTO "leadpush_outcome" VALUES(1,1,0,1,'"Hi Ana: pro"',NULL,NULL,0,0,0);
INSERT INTO "leadpush_outcome" VALUES(1,1,1,1,'"Hi Bo: free"',NULL,NULL,0,0,0);
INSERT INTO "leadpush_outcome" VALUES(1,1,2,1,'"Hi Cy: pro"',NULL,NULL,0,0,0);
INSERT INTO "leadpush_outcome" VALUES(1,1,4,1,'"Hi Ed: 😀"',NULL,NULL,0,0,0);
INSERT INTO "leadpush_outcome" VALUES(1,1,5,1,'"Hi Fi: free"',NULL,NULL,0,0,0);
INSERT INTO "leadpush_outcome" VALUES(2,0,0,1,'{"plan": "pro", "price": 1.10, "name": "Zoë"}',NULL,NULL,1177,1,46);
INSERT INTO "leadpush_outcome" VALUES(2,0,1,1,'{"plan": "free", "note": "O\"Brien \u0000 \\ tab\t"}',NULL,NULL,862,1,52);
INSERT INTO "leadpush_outcome" VALUES(2,0,2,1,'{"plan": "pro", "big": 12345678901234567890.123}',NULL,NULL,737,1,48);
INSERT INTO "leadpush_outcome" VALUES(2,0,3,3,NULL,'http_status_404','{"reason": "http_status", "message": "The API answered with HTTP 404.", "http_status": 404, "request": "GET http://127.0.0.1:46775/profile/4\nAccept: application/json\nAccept-Encoding: gzip, deflate\nUser-Agent: leadpush-prefect", "excerpt": "{\"error\": \"unknown\"}"}',710,1,20);
INSERT INTO "leadpush_outcome" VALUES(2,1,0,1,'"Hi Ana: pro"',NULL,NULL,0,0,0);
INSERT INTO "leadpush_outcome" VALUES(2,1,1,1,'"Hi Bo: free"',NULL,NULL,0,0,0);
INSERT INTO "leadpush_outcome" VALUES(2,1,2,1,'"Hi Cy: pro"',NULL,NULL,0,0,0);
CREATE TABLE leadpush_run (
	run INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	run_id TEXT NOT NULL, 
	campaign TEXT NOT NULL, 
	workspace TEXT NOT NULL, 
	status TEXT NOT NULL, 
	started_at TEXT NOT NULL, 
	finished_at TEXT, 
	state TEXT, 
	simulate BOOLEAN NOT NULL, 
	include_unsubscribed BOOLEAN NOT NULL, 
	execution INTEGER NOT NULL, 
	contacts INTEGER NOT NULL, 
	unsubscribed INTEGER NOT NULL, 
	invalid INTEGER NOT NULL, 
	batches INTEGER NOT NULL, 
	batch_size INTEGER NOT NULL, 
	source TEXT NOT NULL, holder TEXT DEFAULT '' NOT NULL, heartbeat BIGINT DEFAULT '0' NOT NULL, 
	UNIQUE (run_id)
);
INSERT INTO "leadpush_run" VALUES(1,'whole','released','released','finished','2026-11-24T23:27:57.630+00:00','2026-11-24T23:27:57.794+00:00','Completed with failures',0,0,1,7,1,0,2,4,'people.csv','',0);
INSERT INTO "leadpush_run" VALUES(2,'half','released','released','stopped','2026-11-24T23:27:58.973+00:00','2026-11-24T23:27:59.028+00:00','ZeroDivisionError',0,0,1,7,1,0,2,4,'people.csv','',0);
CREATE TABLE leadpush_schema (
	version INTEGER NOT NULL
);
INSERT INTO "leadpush_schema" VALUES(2);
CREATE TABLE leadpush_step (
	run INTEGER NOT NULL, 
	step SMALLINT NOT NULL, 
	node TEXT NOT NULL, 
	output_key TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	endpoint TEXT NOT NULL, 
	condition TEXT NOT NULL, 
	on_failure TEXT NOT NULL, 
	definition TEXT NOT NULL, 
	execution INTEGER NOT NULL, 
	PRIMARY KEY (run, step), 
	CONSTRAINT leadpush_step_node UNIQUE (run, node)
);
INSERT INTO "leadpush_step" VALUES(1,0,'profile','profile','fetch','','','stop','216012ce2e96c4baed5dc4988ac98331',1);
INSERT INTO "leadpush_step" VALUES(1,1,'message','message','render','','','stop','63721ce54ec29d468f267c7f82e7fd4d',1);
INSERT INTO "leadpush_step" VALUES(2,0,'profile','profile','fetch','','','stop','216012ce2e96c4baed5dc4988ac98331',1);
INSERT INTO "leadpush_step" VALUES(2,1,'message','message','render','','','stop','63721ce54ec29d468f267c7f82e7fd4d',1);
CREATE VIEW leadpush_runs AS
SELECT
    run_id, campaign, workspace, status, state, started_at, finished_at, simulate, include_unsubscribed,
    execution, contacts, unsubscribed, invalid, batches, source
FROM leadpush_run;
CREATE VIEW leadpush_steps AS
SELECT
    run.run_id, run.campaign, run.workspace, step.step, step.node, step.output_key, step.kind, step.endpoint,
    step.condition, step.on_failure,
    count(CASE outcome.status WHEN 1 THEN 1 END) AS fetched,
    count(CASE outcome.status WHEN 2 THEN 1 END) AS skipped,
    count(CASE outcome.status WHEN 3 THEN 1 END) AS failed,
    CAST(coalesce(sum(outcome.attempts), 0) AS BIGINT) AS requests,
    CAST(coalesce(sum(outcome.bytes), 0) AS BIGINT) AS bytes
FROM leadpush_run AS run
JOIN leadpush_step AS step ON step.run = run.run
LEFT JOIN leadpush_outcome AS outcome ON outcome.run = step.run AND outcome.step = step.step
GROUP BY
    run.run_id, run.campaign, run.workspace, step.step, step.node, step.output_key, step.kind, step.endpoint,
    step.condition, step.on_failure;
CREATE VIEW leadpush_outcomes AS
SELECT
    run.run_id, run.campaign, run.workspace,
    (
        SELECT contact.contact_id FROM leadpush_contact AS contact
        WHERE contact.run = outcome.run AND contact.number = outcome.number
    ) AS contact_id,
    step.node, step.output_key, step.endpoint,
    CASE outcome.status WHEN 1 THEN 'fetched' WHEN 2 THEN 'skipped' ELSE 'failed' END AS status,
    outcome.code, outcome.output, CAST(outcome.microseconds AS DOUBLE PRECISION) / 1000 AS milliseconds,
    outcome.attempts, outcome.bytes
FROM leadpush_run AS run
JOIN leadpush_step AS step ON step.run = run.run
JOIN leadpush_outcome AS outcome ON outcome.run = step.run AND outcome.step = step.step;
CREATE VIEW leadpush_failures AS
SELECT
    run.run_id, run.campaign, run.workspace,
    (
        SELECT contact.contact_id FROM leadpush_contact AS contact
        WHERE contact.run = outcome.run AND contact.number = outcome.number
    ) AS contact_id,
    step.node, step.endpoint, step.on_failure,
    outcome.code, CAST(outcome.microseconds AS DOUBLE PRECISION) / 1000 AS milliseconds, outcome.attempts
FROM leadpush_run AS run
JOIN leadpush_step AS step ON step.run = run.run
JOIN leadpush_outcome AS outcome ON outcome.run = step.run AND outcome.step = step.step
WHERE outcome.status = 3;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('leadpush_run',2);
COMMIT;
