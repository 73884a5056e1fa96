/* The part of the runtime that kernels need, for run_functions.py: tasks run in
 * order, in reverse, or on four threads, and must give the same bits. */
#include "tnrt/abi.h"

#include <pthread.h>
#include <stdatomic.h>

enum { IN_ORDER, REVERSED, THREADED };
int order = IN_ORDER;
void *arena;

struct launch {
  tnrt_kernel kernel;
  void *const *args;
  int64_t tasks;
  atomic_llong next;
};

static void *work(void *data) {
  struct launch *launch = data;
  for (int64_t task; (task = launch->next++) < launch->tasks;)
    launch->kernel(launch->args, task);
  return 0;
}

void tnrt_launch(void *context, void *kernel, int64_t tasks, void *args) {
  (void)context;
  struct launch launch = {(tnrt_kernel)kernel, (void *const *)args, tasks, 0};
  if (order == REVERSED) {
    for (int64_t task = tasks; task-- > 0;)
      launch.kernel(launch.args, task);
    return;
  }
  pthread_t threads[3];
  int started = 0;
  while (order == THREADED && started < 3 &&
         pthread_create(&threads[started], 0, work, &launch) == 0)
    ++started;
  work(&launch);
  while (started > 0)
    pthread_join(threads[--started], 0);
}

void *tnrt_arena(void *context) {
  (void)context;
  return arena;
}
