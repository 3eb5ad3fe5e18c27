-- A donation database for benchmarks: five tables, about `mb` megabytes of
-- plain dump and 5.1 million rows at 1,100. The rows are the same every time.
--
--   psql -X -v ON_ERROR_STOP=1 -v mb=1100 -f donations.sql
\set ON_ERROR_STOP 1
\set QUIET 1
\if :{?mb}
\else
  \set mb 100
\endif
set synchronous_commit = off;

create table churches (id int primary key, name text not null, slug text not null, settings jsonb not null, created_at timestamptz not null);
create table funds (id int primary key, church_id int not null, name text not null, goal_cents bigint);
create table donors (id bigint primary key, church_id int not null, external_id uuid not null, name text not null, email text not null, phone text, address text, created_at timestamptz not null);
create table donations (
  id bigint primary key, donor_id bigint not null, church_id int not null, fund_id int not null, amount_cents int not null, fee_cents int not null,
  currency char(3) not null, status text not null, method text not null, payment_id uuid not null, statement text not null, note text, processed_at timestamptz, created_at timestamptz not null);
create table audit_log (id bigint primary key, church_id int not null, actor_id bigint, action text not null, detail jsonb not null, request_id uuid not null, session_id uuid, at timestamptz not null);

insert into churches
select i, (array['Grace', 'Riverside', 'Trinity', 'Bethel', 'Hope', 'New Life'])[1 + i % 6] || ' Church ' || i, 'church-' || i,
       jsonb_build_object('timezone', 'America/New_York', 'currency', 'USD', 'receipts', i % 2 = 0), timestamptz '2020-01-01 00:00Z' + i * interval '1 hour'
from generate_series(1, 2000) i;

insert into funds
select i, 1 + i % 2000, (array['General', 'Missions', 'Building', 'Youth', 'Benevolence'])[1 + i % 5], case when i % 3 = 0 then i * 1000 end
from generate_series(1, 10000) i;

insert into donors
select i, 1 + i % 2000, md5('donor' || i)::uuid,
       (array['James', 'Mary', 'Robert', 'Patricia', 'José', 'Ana', 'Wei', 'Amara', 'Noah', 'Olivia'])[1 + i % 10] || ' ' || (array['Smith', 'Johnson', 'García', 'Kim', 'Okafor', 'Nguyen', 'Brown'])[1 + i % 7],
       'donor' || i || '@' || (array['gmail.com', 'yahoo.com', 'outlook.com', 'example.org'])[1 + i % 4],
       case when i % 3 <> 0 then '+1' || (2000000000::bigint + (hashint8(i) & 536870911))::text end,
       case when i % 2 = 0 then (i % 9999) || ' ' || (array['Main St', 'Oak Ave', 'Church Rd', '2nd St'])[1 + i % 4] || ', Springfield' end,
       timestamptz '2020-01-01 00:00Z' + i * interval '3 minutes'
from generate_series(1, :mb * 450) i;

insert into donations
select i, 1 + (hashint8(i) & 2147483647) % (:mb * 450), 1 + i % 2000, 1 + i % 10000, 500 + (hashint8(i * 3) & 2147483647) % 50000, 30 + (hashint8(i * 3) & 2147483647) % 1500,
       'USD', (array['succeeded', 'succeeded', 'succeeded', 'succeeded', 'pending', 'failed', 'refunded'])[1 + (hashint8(i * 5) & 2147483647) % 7],
       (array['card', 'card', 'bank_transfer', 'cash'])[1 + (hashint8(i * 7) & 2147483647) % 4], md5('payment' || i)::uuid, 'ALTARFLOW* church-' || 1 + i % 2000 || ' ' || md5('statement' || i),
       case (hashint8(i * 11) & 2147483647) % 12 when 0 then 'In memory of a friend' when 1 then E'Thank you\nfor everything' when 2 then 'Weekly tithe' end,
       timestamptz '2021-01-01 00:00Z' + i * interval '53 seconds' + (hashint8(i * 13) & 2147483647) % 1000000 * interval '1 microsecond',
       timestamptz '2021-01-01 00:00Z' + i * interval '53 seconds'
from generate_series(1, :mb * 2900) i;

insert into audit_log
select i, 1 + i % 2000, 1 + (hashint8(i) & 2147483647) % (:mb * 450), (array['donation.created', 'donor.updated', 'report.exported', 'user.login'])[1 + i % 4],
       jsonb_build_object('ip', '203.0.' || i % 256 || '.' || (hashint8(i) & 2147483647) % 256, 'path', '/api/v1/donations/' || (hashint8(i * 3) & 2147483647) % 1000000, 'agent', (array['Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)', 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X)', 'AltarFlow/2.1'])[1 + i % 3], 'ms', (hashint8(i * 17) & 2147483647) % 900),
       md5('request' || i)::uuid, md5('session' || i / 3)::uuid, timestamptz '2021-01-01 00:00Z' + i * interval '97 seconds'
from generate_series(1, :mb * 1280) i;

alter table funds add foreign key (church_id) references churches;
create index on donations (donor_id);
create index on donations (church_id, created_at);
create index on audit_log (at);
analyze;
