package load

import (
	"fmt"
	"time"
)

// idle measures after a first, smaller set of connections has come and gone, so
// that what is held once and for all is not counted as theirs.
func idle(j Job) (Result, error) {
	first := j
	first.Flows = min(j.Flows, 50)
	fds, err := first.dialIdle()
	if err != nil {
		return Result{}, err
	}
	closeAll(fds)
	time.Sleep(j.WarmUp)
	memory, files, err := held(j.PID)
	if err != nil {
		return Result{}, err
	}
	if fds, err = j.dialIdle(); err != nil {
		return Result{}, err
	}
	defer closeAll(fds)
	time.Sleep(j.Window)
	memoryThen, filesThen, err := held(j.PID)
	if err != nil {
		return Result{}, err
	}
	return Result{
		Memory:      float64(memoryThen-memory) / float64(j.Flows),
		Descriptors: float64(filesThen-files) / float64(j.Flows),
	}, nil
}

func (j Job) dialIdle() ([]int, error) {
	fds := make([]int, 0, j.Flows)
	b := []byte{once}
	for range j.Flows {
		fd, err := dial(j.To)
		if err == nil {
			fds = append(fds, fd)
			err = write(fd, b)
		}
		if err == nil {
			err = readFull(fd, b)
		}
		if err != nil {
			closeAll(fds)
			return nil, fmt.Errorf("connection %d: %w", len(fds), err)
		}
	}
	return fds, nil
}

func held(pid int) (memory, files int64, err error) {
	pids := tree(pid)
	if memory, err = resident(pids); err != nil {
		return 0, 0, err
	}
	files, err = descriptors(pids)
	return memory, files, err
}
