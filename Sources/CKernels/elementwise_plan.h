// How a tape is cut into tiles of at most `lanes` lanes: shared by the instruction sets' versions of the tape runner.
#ifndef MARTLET_ELEMENTWISE_PLAN_H
#define MARTLET_ELEMENTWISE_PLAN_H

#include "include/elementwise.h"

enum {
    MK_TAPE_FILE = 8192,  // lanes of the register file
    MK_TAPE_TAIL = 16,    // instructions run over multiples of this many lanes
};

typedef struct mk_tape_plan {
    const mk_tape *tape;
    const void *const *inputs;
    void *const *outputs;
    int registers, lanes;
    int64_t columns;     // innermost size
    int64_t width;       // columns of one tile
    int64_t rows;        // rows of one tile
    int64_t run_rows;    // rows in a run: tiles do not cross runs
    int64_t run_tiles;   // tiles in a run (of rows, or of the columns of one row)
    int64_t tiles;       // all tiles
    int crosses;         // a run goes over more than one outer dimension
    int backward;        // the last tile comes first
} mk_tape_plan;

#endif
