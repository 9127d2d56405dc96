# Sourced after cells.sh: recipes, teachers, corpora and scores of the translation studies (demo.sh, scripts/nmt/*.sh).

# mini: 2 + 2 layers of 128 dimensions, what two CPU cores train in minutes; a decaying rate, because minutes are few.
MINI_MODEL=(--arch transformer_iwslt_de_en_tiny --encoder-normalize-before
  --decoder-normalize-before --dropout 0.1)
MINI_RECIPE=(--optimizer adam --adam-betas '(0.9, 0.98)' --lr 4e-3 --lr-scheduler polynomial_decay --warmup-updates 400
  --max-tokens 1000 --required-batch-size-multiple 1 --num-workers 0)
MINI_TEACHER_UPDATES=1700 # 2.1 epochs of En-De
MINI_STUDENT_UPDATES=950  # 1.2 epochs; a student learns faster, from the teacher's whole distribution
# full: Tan et al. 2019, whose hyper-parameters the paper's translation experiments take; for a GPU.
FULL_MODEL=(--arch transformer_iwslt_de_en --dropout 0.3)
FULL_RECIPE=(--optimizer adam --adam-betas '(0.9, 0.98)' --lr 5e-4 --lr-scheduler inverse_sqrt --warmup-updates 4000
  --warmup-init-lr 1e-7 --max-tokens 4096 --required-batch-size-multiple 1)
FULL_EPOCHS=50

# ---- commands ----------------------------------------------------------------------------------------------------------
help_corpus() { # PAIR FOLDER; two runs may want it at once: the second waits, and finds it built
  mkdir -p data/nmt
  flock data/nmt/.lock python -m nmt_plugin.corpora libreoffice --pair "$1" --source data/libreoffice-help --output "$2"
}

mini_length() { # UPDATES: the flags that end a training after so many
  echo "--max-update $1 --total-num-update $1"
}

train_command() { # PAIR CORPUS SAVE_DIR SEED FLAG...: sets TRAIN to the command, which goes on where a killed training saved last
  local pair=$1 data=$2/data-bin folder=$3 seed=$4 shared=--share-all-embeddings
  shift 4
  if ! cmp -s "$data/dict.${pair%-*}.txt" "$data/dict.${pair#*-}.txt"; then shared=--share-decoder-input-output-embed; fi
  # One process: fairseq would spread one training over every GPU it sees, and so train another batch size.
  TRAIN=(fairseq-train "$data" --user-dir nmt_plugin --distributed-world-size 1 --source-lang "${pair%-*}" --target-lang "${pair#*-}" "$shared"
    --save-dir "$folder" --seed "$seed" --no-epoch-checkpoints --save-interval-updates 500 --keep-interval-updates 1
    --validate-interval-updates 1000000 --log-format simple --log-interval 20 "$@")
}

train() { # as train_command
  local TRAIN
  train_command "$@"
  "${TRAIN[@]}"
}

evaluate() { # CORPUS MODEL NAME BEAM MAX_LEN
  python -m nmt_plugin.evaluate --model "$2" --corpus "$1" --name "$3" --beam "$4" --max-len "$5"
}
