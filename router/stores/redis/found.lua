-- What a deployment is, written by whoever comes first.
--
-- KEYS[1]  PREFIX:meta
-- ARGV     schema, partitions, epoch
-- returns  [schema, partitions, epoch] as they are now
--
-- Idempotent: what is there stays.

redis.call('HSETNX', KEYS[1], 'schema', ARGV[1])
redis.call('HSETNX', KEYS[1], 'partitions', ARGV[2])
redis.call('HSETNX', KEYS[1], 'epoch', ARGV[3])
return redis.call('HMGET', KEYS[1], 'schema', 'partitions', 'epoch')
