#!/bin/sh
# On the first machine of a Ray cluster (ray start --head; on the others: ray start --address FIRST:6379), with headstart
# of the same version and the model's packages on each. The model is a hub name or a path that all machines see.
export RAY_ADDRESS=auto
exec headstart predict /shared/reviews-run s3://your-bucket/reviews/ --to s3://your-bucket/answers --on ray --text body
