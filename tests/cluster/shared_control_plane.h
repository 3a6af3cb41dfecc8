#pragma once

#include "tests/cluster/control_plane.h"

namespace grapevine::cluster {

// The control plane of this test binary, with the CRDs installed: started before its first test,
// gone after its last. A test takes a namespace of its own. Where the programs are missing every
// test of the binary is skipped.
ControlPlane& SharedControlPlane();

}  // namespace grapevine::cluster
