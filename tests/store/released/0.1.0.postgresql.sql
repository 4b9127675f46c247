-- Written by leadpush-prefect 0.1.0: `whole` has ended with a failure, `half` was stopped after its first batch.
CREATE TABLE leadpush_schema (
	version INTEGER NOT NULL
);
CREATE TABLE leadpush_run (
	run SERIAL NOT NULL, 
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
	source TEXT NOT NULL, 
	PRIMARY KEY (run), 
	UNIQUE (run_id)
);
CREATE TABLE leadpush_contact (
	run INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	contact_id TEXT NOT NULL, 
	subscribed BOOLEAN NOT NULL, 
	data TEXT NOT NULL, 
	place TEXT NOT NULL, 
	PRIMARY KEY (run, number)
);
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
CREATE TABLE leadpush_claim (
	run INTEGER NOT NULL, 
	step SMALLINT NOT NULL, 
	batch INTEGER NOT NULL, 
	execution INTEGER NOT NULL, 
	owner TEXT NOT NULL, 
	PRIMARY KEY (run, step, batch)
);
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
);
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
INSERT INTO leadpush_outcome VALUES (1, 0, 1, 1,  E'{"plan": "free", "note": "O\\"Brien \\u0000 \\\\ tab\\t"}', NULL, NULL, 2410, 1, 52);
INSERT INTO leadpush_outcome VALUES (1, 0, 2, 1, '{"plan": "pro", "big": 12345678901234567890.123}', NULL, NULL, 2287, 1, 48);
INSERT INTO leadpush_outcome VALUES (1, 0, 3, 3, NULL, 'http_status_404',  E'{"reason": "http_status", "message": "The API answered with HTTP 404.", "http_status": 404, "request": "GET http://127.0.0.1:36971/profile/4\\nAccept: application/json\\nAccept-Encoding: gzip, deflate\\nUser-Agent: leadpush-prefect", "excerpt": "{\\"error\\": \\"unknown\\"}"}', 2209, 1, 20);
INSERT INTO leadpush_outcome VALUES (1, 0, 4, 1, '{"plan": "😀"}', NULL, NULL, 675, 1, 16);
INSERT INTO leadpush_outcome VALUES (1, 0, 5, 1, '{"plan": "free"}', NULL, NULL, 416, 1, 16);
INSERT INTO leadpush_outcome VALUES (1, 1, 0, 1, '"Hi Ana: pro"', NULL, NULL, 0, 0, 0);
INSERT INTO leadpush_outcome VALUES (1, 1, 1, 1, '"Hi Bo: free"', NULL, NULL, 0, 0, 0);
INSERT INTO leadpush_outcome VALUES (1, 1, 2, 1, '"Hi Cy: pro"', NULL, NULL, 0, 0, 0);
INSERT INTO leadpush_outcome VALUES (1, 1, 4, 1, '"Hi Ed: 😀"', NULL, NULL, 0, 0, 0);
INSERT INTO leadpush_outcome VALUES (1, 1, 5, 1, '"Hi Fi: free"', NULL, NULL, 0, 0, 0);
INSERT INTO leadpush_outcome VALUES (2, 0, 0, 1, '{"plan": "pro", "price": 1.10, "name": "Zoë"}', NULL, NULL, 1426, 1, 46);
INSERT INTO leadpush_outcome VALUES (2, 0, 1, 1,  E'{"plan": "free", "note": "O\\"Brien \\u0000 \\\\ tab\\t"}', NULL, NULL, 1218, 1, 52);
INSERT INTO leadpush_outcome VALUES (2, 0, 2, 1, '{"plan": "pro", "big": 12345678901234567890.123}', NULL, NULL, 1158, 1, 48);
INSERT INTO leadpush_outcome VALUES (2, 0, 3, 3, NULL, 'http_status_404',  E'{"reason": "http_status", "message": "The API answered with HTTP 404.", "http_status": 404, "request": "GET http://127.0.0.1:36971/profile/4\\nAccept: application/json\\nAccept-Encoding: gzip, deflate\\nUser-Agent: leadpush-prefect", "excerpt": "{\\"error\\": \\"unknown\\"}"}', 1082, 1, 20);
INSERT INTO leadpush_outcome VALUES (2, 1, 0, 1, '"Hi Ana: pro"', NULL, NULL, 0, 0, 0);
INSERT INTO leadpush_outcome VALUES (2, 1, 1, 1, '"Hi Bo: free"', NULL, NULL, 0, 0, 0);
INSERT INTO leadpush_outcome VALUES (2, 1, 2, 1, '"Hi Cy: pro"', NULL, NULL, 0, 0, 0);
INSERT INTO leadpush_run VALUES (1, 'whole', 'released', 'released', 'finished', '2026-11-24T23:28:01.316+00:00', '2026-11-24T23:28:01.777+00:00', 'Completed with failures', false, false, 1, 7, 1, 0, 2, 4, 'people.csv');
INSERT INTO leadpush_run VALUES (2, 'half', 'released', 'released', 'stopped', '2026-11-24T23:28:02.790+00:00', '2026-11-24T23:28:02.855+00:00', 'ZeroDivisionError', false, false, 1, 7, 1, 0, 2, 4, 'people.csv');
INSERT INTO leadpush_schema VALUES (1);
INSERT INTO leadpush_step VALUES (1, 0, 'profile', 'profile', 'fetch', '', '', 'stop', '216012ce2e96c4baed5dc4988ac98331', 1);
INSERT INTO leadpush_step VALUES (1, 1, 'message', 'message', 'render', '', '', 'stop', '63721ce54ec29d468f267c7f82e7fd4d', 1);
INSERT INTO leadpush_step VALUES (2, 0, 'profile', 'profile', 'fetch', '', '', 'stop', '216012ce2e96c4baed5dc4988ac98331', 1);
INSERT INTO leadpush_step VALUES (2, 1, 'message', 'message', 'render', '', '', 'stop', '63721ce54ec29d468f267c7f82e7fd4d', 1);
SELECT setval('leadpush_run_run_seq', 2);
