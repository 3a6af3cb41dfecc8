/* The first process of a machine or of a pod: it waits for its end, and for the end of what it inherits. */
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>

int main(void) {
  sigset_t signals;
  int signal_number;
  sigfillset(&signals);
  sigprocmask(SIG_BLOCK, &signals, NULL); /* process 1 gets only what it asks for */
  while (sigwait(&signals, &signal_number) == 0) {
    if (signal_number == SIGTERM || signal_number == SIGINT) return 0;
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
  }
  return 1;
}
