#pragma once

#include "operator/graph/graph.h"

namespace grapevine::graph {

// How fast gossip on this graph forgets differences: gap = n (1 - rho), where rho is the second
// largest eigenvalue of E[W^T W] and W = I - 1/2 (e_i - e_j)(e_i - e_j)^T the average of one random
// exchange (AD-PSGD, assumption 3 of its analysis). The exchange is begun by a uniformly random
// active member, which picks a uniformly random neighbour: p_ij = 1 / (|active| deg(i)). Since W^T
// W = W,
//
//   E[W^T W] = I - 1/2 sum p_ij L_ij,  gap = n/2 times the second smallest eigenvalue of sum p_ij
//   L_ij
//
// After n/2 exchanges, one participation per member on average, the variance of the disagreement
// shrinks by about exp(-gap/2) or better.
//
// Complete with equal sides of two or more: exactly 1; with sides a and p: (a+p) / (2 max(a,p));
// two members: 2, since one exchange ends every disagreement. d-regular: 1 - lambda2/d. Nobody and
// one member: 1 by definition. Not connected: 0.
//
// Lanczos with full re-orthogonalisation: relative error about 1e-6; 1,000 members of degree 8 take
// milliseconds, a ring of 1,000 some hundred. Deterministic. Never on the way to the views.
double SpectralGap(const Graph& graph);

}  // namespace grapevine::graph
