#!/usr/bin/env bash
# The CUB-200-2011 table of Chandrasegaran et al. 2022: teachers from the ImageNet teachers of the same alpha, students
# from ImageNet weights at each T, the diffusion index and the projection figure.
#
#   bash scripts/vision/cub.sh data/cub runs/cub
#   IMAGENET=runs/imagenet bash scripts/vision/cub.sh data/cub runs/cub loader=dali loader.device=gpu
#
# What is finished is not run again; an interrupted training goes on. Further KEY=VALUE are for every training.
set -euo pipefail

NAME=cub DATA_OPTION=cub
# ---- every choice ----------------------------------------------------------------------------------------------------
TEACHER=cub_teacher                                               # ResNet-50; conf/recipe/cub_teacher.yaml:
                                                                  #   SGD .9, lr .01, / 10 every 30 epochs, wd 1e-4, 90 epochs
IMAGENET=${IMAGENET-runs/imagenet}                                # where scripts/vision/imagenet.sh left its teachers
STUDENTS=${STUDENTS-"resnet18 resnet50 convnext_tiny mobilenetv2"} # conf/recipe/cub_student.yaml:
                                                                  #   lr .01, / 10 every 80 epochs, wd 1e-3, 200 epochs
ALPHAS=${ALPHAS-"0 0.1"}                                          # label smoothing of the teachers
TEMPERATURES=${TEMPERATURES-"1 2 3 64"}
SEEDS=${SEEDS-"1"}
DEVICES=${DEVICES-1}                                              # GPUs of this machine; the batch is 256 over all of them,
ACCUMULATE=${ACCUMULATE-1}                                        #   taken in so many parts
SETS=${SETS-families}                                             # S1: birds of the target's family
FIGURE=${FIGURE-"Great Grey Shrike,Loggerhead Shrike,Black footed Albatross"} # the projection's three classes
FIGURE_T=${FIGURE_T-"1 3"}                                        # and its temperatures, low and high

source "$(dirname "$0")/../lib/vision.sh"
teacher_weights() { echo "model.weights=$IMAGENET/teacher-a$1-seed$2/last.safetensors"; } # ALPHA SEED
paper_tables "$@"
