#pragma once

#include <signal.h>

#include "operator/base/log.h"

namespace grapevine::assembly {

// Blocks, in the calling thread and in those that it makes, the signals that Work waits for.
sigset_t BlockSignals();

// Works for the job that the environment names until SIGTERM, SIGINT or the end of the session.
// Returns the exit status: 0 after an end in order, 1 when it cannot go on, 2 for bad input.
// REQUIRES: `signals`, of BlockSignals, are blocked in every thread.
int Work(LogFormat format, const sigset_t& signals);

}  // namespace grapevine::assembly
