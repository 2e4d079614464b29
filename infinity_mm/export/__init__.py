"""Training shards out of curated records: plan, gather, write, index, validate.

How a kept row travels::

    kept rows --plan_shards--> ShardPlan --shard(i)--> Shard --gather--> Record --write_shard--> file + sidecar
                                                                                       finish --> index.json

Everything is a function of the kept rows and the seed. One shard is one task; a shard is done when
its sidecar names the fingerprint of its rows. `index.json` is written last: an export without it is
unfinished.
"""
