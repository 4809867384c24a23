// Go: goroutines, channels, contexts; on one processor, as the others are.
//
//	go build -o build/bench/go bench/programs/go.go
//	build/bench/go WORKLOAD [quick]
//
// The same workloads as in bench/workloads.lua, by the same names, timed in
// the same way (processor time, nanoseconds for one operation). A semaphore is
// a buffered channel, as Go's users write it without further packages.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	calibration = 0.01 // seconds
	target      = 0.15
	quickSize   = 10000
)

func nothing() {}

func shared(n, tasks int, fn func()) {
	if tasks > n {
		tasks = n
	}
	var all sync.WaitGroup
	all.Add(tasks)
	for t := 0; t < tasks; t++ {
		go func() {
			defer all.Done()
			for i := 0; i < n/tasks; i++ {
				fn()
			}
		}()
	}
	all.Wait()
}

func spawned(n int, fn func()) {
	for i := 0; i < n; i++ {
		done := make(chan struct{})
		go func() {
			fn()
			close(done)
		}()
		<-done
	}
}

// the work is in a goroutine of its own: nothing else can be left behind
func limited() {
	ctx, cancel := context.WithTimeout(context.Background(), 1000*time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() {
		runtime.Gosched()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

func semaphore(n, tasks, permits int, fn func()) {
	sem := make(chan struct{}, permits)
	shared(n, tasks, func() {
		sem <- struct{}{}
		fn()
		<-sem
	})
}

func channel(n, capacity int) {
	ch := make(chan int, capacity)
	go func() {
		for i := 0; i < n; i++ {
			ch <- i
		}
	}()
	for i := 0; i < n; i++ {
		<-ch
	}
}

func pool(n, limit int, fn func()) {
	results := make([]int, n)
	items := make(chan int)
	var all sync.WaitGroup
	all.Add(limit)
	for w := 0; w < limit; w++ {
		go func() {
			defer all.Done()
			for i := range items {
				fn()
				results[i] = i
			}
		}()
	}
	for i := 0; i < n; i++ {
		items <- i
	}
	close(items)
	all.Wait()
}

func all1000(n int) {
	for i := 0; i < n/1000; i++ {
		shared(1000, 1000, nothing)
	}
}

// a generator is a goroutine and a channel
func numbers(n int, wait func()) chan int {
	ch := make(chan int)
	go func() {
		for i := 1; i <= n; i++ {
			wait()
			ch <- i
		}
		close(ch)
	}()
	return ch
}

func consume(ch chan int) {
	for range ch {
	}
}

func pipeline(n int) {
	stage := func(from chan int, fn func(int) (int, bool)) chan int {
		to := make(chan int)
		go func() {
			for x := range from {
				if y, keep := fn(x); keep {
					to <- y
				}
			}
			close(to)
		}()
		return to
	}
	s := numbers(n, nothing)
	s = stage(s, func(x int) (int, bool) { return x + 1, true })
	s = stage(s, func(x int) (int, bool) { return x, x > 0 })
	s = stage(s, func(x int) (int, bool) { return x * 2, true })
	s = stage(s, func(x int) (int, bool) { return x, x > 0 })
	s = stage(s, func(x int) (int, bool) { return x - 1, true })
	consume(s)
}

func timers(n int, due func(i int) time.Duration) {
	var all sync.WaitGroup
	all.Add(n)
	for i := 0; i < n; i++ {
		d := due(i)
		go func() {
			time.Sleep(d)
			all.Done()
		}()
	}
	all.Wait()
}

func sleep100k(n int) {
	timers(n, func(i int) time.Duration {
		return 100*time.Millisecond + time.Duration(i%1000)*100*time.Microsecond
	})
}

func cancel100k(n int) {
	cancels := make([]context.CancelFunc, n)
	var all sync.WaitGroup
	all.Add(n)
	for i := range cancels {
		var ctx context.Context
		ctx, cancels[i] = context.WithCancel(context.Background())
		go func() {
			defer all.Done()
			select {
			case <-time.After(1000000 * time.Second):
			case <-ctx.Done():
			}
		}()
	}
	runtime.Gosched()
	runtime.Gosched()
	for _, cancel := range cancels {
		cancel()
	}
	all.Wait()
}

func waiters(n int) {
	sem := make(chan struct{}, 1)
	sem <- struct{}{}
	var all sync.WaitGroup
	all.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			sem <- struct{}{}
			<-sem
			all.Done()
		}()
	}
	runtime.Gosched()
	runtime.Gosched()
	<-sem
	all.Wait()
}

func resident() float64 {
	file, err := os.Open("/proc/self/status")
	if err != nil {
		return 0
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if f := strings.Fields(lines.Text()); f[0] == "VmRSS:" {
			kb, _ := strconv.ParseFloat(f[1], 64)
			return kb * 1024
		}
	}
	return 0
}

// nobody waits for them
func memory(n int) {
	before := resident()
	for i := 0; i < n; i++ {
		go time.Sleep(1000000 * time.Second)
	}
	runtime.Gosched()
	runtime.Gosched()
	fmt.Printf("%.1f\n", (resident()-before)/float64(n))
	os.Exit(0)
}

var workloads = map[string]func(n int){
	"switch2":     func(n int) { shared(n, 2, runtime.Gosched) },
	"switch1000":  func(n int) { shared(n, 1000, runtime.Gosched) },
	"spawn":       func(n int) { spawned(n, nothing) },
	"spawn_yield": func(n int) { spawned(n, runtime.Gosched) },
	"timeout":     func(n int) { shared(n, 1, limited) },
	"timeout1000": func(n int) { shared(n, 1000, limited) },
	"semaphore":   func(n int) { semaphore(n, 1, 1, nothing) },
	"semaphore1000": func(n int) {
		semaphore(n, 1000, 10, runtime.Gosched)
	},
	"channel0":        func(n int) { channel(n, 0) },
	"channel1":        func(n int) { channel(n, 1) },
	"channel128":      func(n int) { channel(n, 128) },
	"pool":            func(n int) { pool(n, 100, runtime.Gosched) },
	"pool0":           func(n int) { pool(n, 100, nothing) },
	"all1000":         all1000,
	"generator":       func(n int) { consume(numbers(n, nothing)) },
	"generator_await": func(n int) { consume(numbers(n, runtime.Gosched)) },
	"pipeline":        pipeline,
	"frame100k":       func(n int) { shared(n, 100000, runtime.Gosched) },
	"sleep100k":       sleep100k,
	"cancel100k":      cancel100k,
}

var growth = map[string]func(n int){
	"tasks": func(n int) { shared(n, n, runtime.Gosched) },
	"timers": func(n int) {
		timers(n, func(i int) time.Duration {
			return time.Duration(n * (2000 + i%1000))
		})
	},
	"waiters": waiters,
	"memory":  memory,
}

var counts = map[string]int{
	"pool": 1000000, "pool0": 1000000, "frame100k": 1000000,
	"sleep100k": 100000, "cancel100k": 100000,
}

func processor() float64 {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) * 1e-9
}

func nanoseconds(fn func(int), n int) float64 {
	runtime.GC()
	start := processor()
	fn(n)
	return (processor() - start) / float64(n) * 1e9
}

func calibrate(fn func(int)) int {
	for n := 4000; ; n *= 4 {
		seconds := nanoseconds(fn, n) * float64(n) * 1e-9
		if seconds >= calibration {
			return (int(target/seconds*float64(n)/1000) + 1) * 1000
		}
	}
}

func main() {
	runtime.GOMAXPROCS(1)
	name := os.Args[1]
	quick := len(os.Args) > 2 && os.Args[2] == "quick"
	series, size, sized := strings.Cut(name, "/")
	n, _ := strconv.Atoi(size)
	if name == "version" {
		fmt.Println(strings.Replace(runtime.Version(), "go", "go ", 1))
	} else if fn := growth[series]; sized && fn != nil {
		total, times := 0., 0.
		for times == 0 || !quick && total*float64(n)*1e-9 < target {
			total += nanoseconds(fn, n)
			times++
		}
		fmt.Printf("%.1f\n", total/times)
	} else if fn := workloads[name]; fn != nil {
		n := counts[name]
		if quick && n == 0 {
			n = 1000
		} else if quick && n > quickSize {
			n = quickSize
		} else if n == 0 {
			n = calibrate(fn)
		}
		fmt.Printf("%.1f\n", nanoseconds(fn, n))
	} else {
		fmt.Println("-")
	}
}
