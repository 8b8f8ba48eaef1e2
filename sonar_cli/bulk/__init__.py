"""Continue, sum up or encode inputs of any size: a folder of shards, made here or by Ray."""
