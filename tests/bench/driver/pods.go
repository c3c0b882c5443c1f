// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// pod is one sandbox with one container.
type pod struct {
	ID        string `json:"pod"`
	Container string `json:"container"`
}

// sandboxConfig asks for what a kubelet would: own namespaces, a log folder, a DNS configuration, no privileges.
func (d *driver) sandboxConfig(name string) *cri.PodSandboxConfig {
	return &cri.PodSandboxConfig{
		Metadata:     &cri.PodSandboxMetadata{Name: name, Uid: name, Namespace: "bench"},
		Hostname:     "bench",
		LogDirectory: filepath.Join(d.logs, name),
		DnsConfig:    &cri.DNSConfig{Servers: []string{"10.0.0.10"}, Searches: []string{"cluster.local"}},
		Labels:       map[string]string{"bench": "1"},
		Linux: &cri.LinuxPodSandboxConfig{
			CgroupParent: d.parent,
			SecurityContext: &cri.LinuxSandboxSecurityContext{
				NamespaceOptions: &cri.NamespaceOption{Pid: cri.NamespaceMode_CONTAINER},
				Seccomp:          &cri.SecurityProfile{ProfileType: cri.SecurityProfile_RuntimeDefault},
			},
		},
	}
}

func (d *driver) containerConfig(script string) *cri.ContainerConfig {
	return &cri.ContainerConfig{
		Metadata: &cri.ContainerMetadata{Name: "c"},
		Image:    &cri.ImageSpec{Image: d.image},
		Command:  []string{"/bin/sh", "-c", script},
		LogPath:  "c/0.log",
		Linux: &cri.LinuxContainerConfig{
			Resources: &cri.LinuxContainerResources{
				CpuShares: 102, CpuQuota: 50000, CpuPeriod: 100000, MemoryLimitInBytes: 128 << 20,
			},
			SecurityContext: &cri.LinuxContainerSecurityContext{
				NamespaceOptions: &cri.NamespaceOption{Pid: cri.NamespaceMode_CONTAINER},
				NoNewPrivs:       true,
				Seccomp:          &cri.SecurityProfile{ProfileType: cri.SecurityProfile_RuntimeDefault},
			},
		},
	}
}

func (d *driver) start(name, script string) (pod, error) {
	ctx, cancel := d.call()
	defer cancel()
	var p pod
	config := d.sandboxConfig(name)
	sandbox, err := d.runtime.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: config})
	if err != nil {
		return p, fmt.Errorf("RunPodSandbox: %w", err)
	}
	p.ID = sandbox.PodSandboxId
	made, err := d.runtime.CreateContainer(ctx, &cri.CreateContainerRequest{
		PodSandboxId: p.ID, Config: d.containerConfig(script), SandboxConfig: config})
	if err != nil {
		return p, fmt.Errorf("CreateContainer: %w", err)
	}
	p.Container = made.ContainerId
	_, err = d.runtime.StartContainer(ctx, &cri.StartContainerRequest{ContainerId: p.Container})
	if err != nil {
		return p, fmt.Errorf("StartContainer: %w", err)
	}
	return p, nil
}

// remove does what a kubelet does to a pod that is deleted, with a grace period of nothing.
func (d *driver) remove(p pod) error {
	ctx, cancel := d.call()
	defer cancel()
	if p.Container != "" {
		if _, err := d.runtime.StopContainer(ctx, &cri.StopContainerRequest{ContainerId: p.Container}); err != nil {
			return fmt.Errorf("StopContainer: %w", err)
		}
		if _, err := d.runtime.RemoveContainer(ctx, &cri.RemoveContainerRequest{ContainerId: p.Container}); err != nil {
			return fmt.Errorf("RemoveContainer: %w", err)
		}
	}
	if _, err := d.runtime.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: p.ID}); err != nil {
		return fmt.Errorf("StopPodSandbox: %w", err)
	}
	if _, err := d.runtime.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: p.ID}); err != nil {
		return fmt.Errorf("RemovePodSandbox: %w", err)
	}
	return nil
}

// prepare makes the log folder of pod `name`, outside of what is measured: that is a kubelet's work.
func (d *driver) prepare(name string) error {
	return os.MkdirAll(filepath.Join(d.logs, name, "c"), 0o755)
}

func podName(i int) string { return fmt.Sprintf("p%d-%d", os.Getpid(), i) }

// life is one pod from nothing to nothing: how long until it ran, and until it was gone.
func (d *driver) life(name, script string) (started, whole float64, err error) {
	if err = d.prepare(name); err != nil {
		return
	}
	begin := time.Now()
	p, err := d.start(name, script)
	if err != nil {
		return
	}
	started = ms(time.Since(begin))
	if err = d.remove(p); err != nil {
		return
	}
	return started, ms(time.Since(begin)), nil
}

// lives runs pods one after another.
func lives(d *driver, c command) (result, error) {
	var start, whole []float64
	for i := range c.count {
		time.Sleep(c.idle)
		s, w, err := d.life(podName(i), c.script)
		if err != nil {
			return nil, err
		}
		start, whole = append(start, s), append(whole, w)
	}
	return result{"start_ms": start, "whole_ms": whole}, nil
}

// each calls f(0) ... f(n-1), `workers` at a time; the first error ends it.
func each(n, workers int, f func(int) error) error {
	var group sync.WaitGroup
	var once sync.Once
	var failure error
	jobs := make(chan int, n)
	for i := range n {
		jobs <- i
	}
	close(jobs)
	for range workers {
		group.Go(func() {
			for i := range jobs {
				if err := f(i); err != nil {
					once.Do(func() { failure = err })
					return
				}
			}
		})
	}
	group.Wait()
	return failure
}

// crowd runs whole lives of pods, several at a time.
func crowd(d *driver, c command) (result, error) {
	begin := time.Now()
	err := each(c.count, c.workers, func(i int) error {
		_, _, err := d.life(podName(i), c.script)
		return err
	})
	took := time.Since(begin)
	return result{"ms": ms(took), "pods_per_s": float64(c.count) / took.Seconds()}, err
}

// makePods starts pods and leaves them.
func makePods(d *driver, c command) (result, error) {
	pods := make([]pod, c.count)
	err := each(c.count, c.workers, func(i int) error {
		err := d.prepare(podName(i))
		if err == nil {
			pods[i], err = d.start(podName(i), c.script)
		}
		return err
	})
	return result{"pods": pods}, err
}

// clean removes every pod that there is.
func clean(d *driver, c command) (result, error) {
	ctx, cancel := d.call()
	defer cancel()
	list, err := d.runtime.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{})
	if err != nil {
		return nil, err
	}
	err = each(len(list.Items), c.workers, func(i int) error {
		return d.remove(pod{ID: list.Items[i].Id})
	})
	return result{"removed": len(list.Items)}, err
}
