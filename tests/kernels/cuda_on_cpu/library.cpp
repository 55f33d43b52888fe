// The CUDA library, compiled for the CPU by the imitation beside this file.

#define BIOFACENET_DEVICE CPU

#include "library.cu"  // the folder csrc/cuda is on the include path
