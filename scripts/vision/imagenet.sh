#!/usr/bin/env bash
# The ImageNet tables of Chandrasegaran et al. 2022: teachers with and without label smoothing, students at each T,
# the diffusion index and the projection figure.
#
#   bash scripts/vision/imagenet.sh data/imagenet runs/imagenet
#   bash scripts/vision/imagenet.sh data/imagenet runs/imagenet loader=dali loader.device=gpu compile=true
#
# What is finished is not run again; an interrupted training goes on. Further KEY=VALUE are for every training.
set -euo pipefail

NAME=imagenet DATA_OPTION=imagenet
# ---- every choice ----------------------------------------------------------------------------------------------------
TEACHER=imagenet_teacher                                          # ResNet-50; conf/recipe/imagenet_teacher.yaml:
                                                                  #   SGD .9, lr .1, / 10 every 30 epochs, wd 1e-4, 90 epochs
STUDENTS=${STUDENTS-"resnet18 resnet50 efficientnet_b0"}          # conf/recipe/imagenet_student.yaml:
                                                                  #   5 epochs of warm-up, / 10 every 80 epochs, 200 epochs
ALPHAS=${ALPHAS-"0 0.1"}                                          # label smoothing of the teachers
TEMPERATURES=${TEMPERATURES-"1 2 3 64"}
SEEDS=${SEEDS-"1"}
DEVICES=${DEVICES-8}                                              # GPUs of this machine; the batch is 2048 over all of them,
ACCUMULATE=${ACCUMULATE-}                                         #   taken in so many parts; empty: 256 images on a GPU at a time
SETS=${SETS-retrievers}                                           # S1 and S2 of the diffusion index; also: snakes, wordnet
FIGURE=${FIGURE-"standard poodle,miniature poodle,submarine"}     # the projection's three classes
FIGURE_T=${FIGURE_T-"1 3"}                                        # and its temperatures, low and high

source "$(dirname "$0")/../lib/vision.sh"
paper_tables "$@"
