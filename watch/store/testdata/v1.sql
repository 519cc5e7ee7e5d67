-- A store of version 1 of the schema; open_test.go knows what it holds.
INSERT INTO "access_key" VALUES('AK1','s3cret','p1','web','guest',1795867200123456789,0,0);
INSERT INTO "alarm" VALUES(7,1,'p1','web-Heartbeat','system/linux','Heartbeat','[{"Name":"InstanceId","Value":"i-1"}]','SampleCount',60000000000,1,1.0,'LessThanThreshold','breaching',1,'["cfnwatch:restart:self"]','web','','rules','/etc/cfn-watch/alarms.d/web.yaml:12',1795867200123456789,1795867200123456789,'{"Tags":{"owner":"ops"}}');
INSERT INTO "event" VALUES(9,1795867200123456789,'Gate','p1','web-Heartbeat',2689521274,65,'srv-1','k1','held by g3','{"gate":"g3"}');
INSERT INTO "key_alarm" VALUES('AK1',7);
INSERT INTO "outbox" VALUES(1,'srv-1|7.1.3|0:restart:self|1',0,1,'srv-1',7,'p1','web-Heartbeat',1,3,'OK','ALARM',1795867200123456789,'Nothing arrived for 2m15s.','{"version":"1.0"}',0,0,'cfnwatch:restart:self','rules','web','srv-1',60000000000,1795867200123456789,'held',1,1795867200123456789,'',0,0,'g3','12 of 40 overdue',1795867200123456789,0,'{"Steps":[{"At":"2026-11-28T12:00:00.123456789Z","Status":"held","Text":"storm"}]}');
INSERT INTO "state" VALUES(7,'ALARM',3,1795867200123456789,'Nothing arrived for 2m15s.','{"version":"1.0"}');
INSERT INTO "suspension" VALUES(2,'stack','p1','web','uid 0','update',1795867200123456789,0);
