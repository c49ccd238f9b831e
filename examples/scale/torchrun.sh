#!/bin/sh
# On every machine: FIRST=machine-1 sh torchrun.sh
# /shared is a folder that all machines see. A run that was interrupted goes on, also on another number of machines.
if [ -d /shared/reviews-run/checkpoints ]; then
  set -- resume /shared/reviews-run
else
  set -- finetune /shared/reviews.csv --model distilbert-base-cased --batch-size 256 --seed 1 --to /shared/reviews-run
fi
exec torchrun --nnodes "${MACHINES:-2}" --nproc-per-node "${GPUS:-8}" --rdzv-backend c10d --rdzv-id reviews \
  --rdzv-endpoint "$FIRST:29500" -m headstart "$@"
