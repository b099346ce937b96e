package report

// words are what a reader sees in the Markdown, in one language.
type words struct {
	title, machine, command, fsync, load, floors, floorsIntro, workloads, workloadsIntro, loading, storage, flat, flatIntro, peer, peerIntro, leftOut, charts string
	floor, measured, want, latency, verdict, bound                                                                                                            string
	met, missed, unmeasured, none                                                                                                                             string
	workload, closed, units, open, rate, errors, cpu, cores, disk, rss, patients, resources                                                                   string
	failed, cpuBound, diskBound, waitBound, unsent, files, garbage                                                                                            string
}

var english = words{
	title: "Benchmark", machine: "Machine", command: "Command", fsync: "fsyncs of 4 KiB a second, one after the other", load: "load average at the start",
	floors: "Against the floors", floorsIntro: "A floor is met if the measure and, where the floor names one, the latency of the open loop at the given rate hold, without a failed request. %s patients.",
	workloads:      "Workloads, %s patients (%s resources)",
	workloadsIntro: "Closed loop: each client sends its next request after an answer. Open loop: constant rate, latencies in ms from the moment at which a request was due, so that waiting counts. CPU: of the server's process, a request. Cores: busy on average during the closed loop, server + generator. Disk: what the server read (the page cache does not count) + wrote meanwhile.",
	loading:        "Loading", storage: "At rest", flat: "Flatness", flatIntro: "Server CPU a request and p50 of the open loop, larger region over smaller: a server of either, newly loaded and started, gets each query in turns at one rate, three tenths of what the slower can take, and as many patients are treated in either. Queries whose answer grows with the region, and those for what no cache holds, are left out. ± is the standard error by the spread of the turns. Garbage: how much of the ratio's distance from 1 collecting it took, as the runtime estimates. Disk: what the larger one's server read + wrote meanwhile; what it wrote, compactions did.",
	peer: "Against %s", peerIntro: "In turns in one run, same data, same requests. More than 1: ours is better.", leftOut: "Left out", charts: "Charts",
	floor: "floor", measured: "measured", want: "wanted", latency: "latency", verdict: "verdict", bound: "bound by",
	met: "met", missed: "missed: %s", unmeasured: "not measured", none: "–",
	workload: "workload", closed: "closed loop", units: "throughput", open: "open loop", rate: "rate", errors: "failed", cpu: "CPU ms", cores: "cores", disk: "disk MB/s", rss: "RSS", patients: "patients", resources: "resources",
	failed: "%d requests failed: %s", cpuBound: "CPU: server %.2f + generator %.2f + others %.2f of %d cores", diskBound: "waiting for commits: %.2f of %.2f free cores busy, %s/s read and %s/s written, the disk does %.0f fsyncs/s",
	waitBound: "waiting, not CPU: %.2f of %.2f free cores busy, %s/s read and %s/s written", unsent: "%d never sent", files: "%s of it pages of files", garbage: "garbage",
}

var chinese = words{
	title: "性能测试报告", machine: "机器", command: "命令", fsync: "每秒 4 KiB fsync 次数（逐次）", load: "开始时的平均负载",
	floors: "与基线对照", floorsIntro: "测量值达到基线、且（如基线规定）开环在给定速率下的延迟达标、无失败请求，方为达标。%s 名患者。",
	workloads:      "各项负载，%s 名患者（%s 条资源）",
	workloadsIntro: "闭环：每个客户端收到应答后才发下一个请求。开环：恒定速率，延迟（毫秒）自请求应发时刻起算，等待计入延迟。CPU：服务进程每请求毫秒数。核：闭环期间平均占用，服务端+发生器。磁盘：其间服务端读（页缓存不计）+写。",
	loading:        "装载", storage: "静态", flat: "规模平坦度", flatIntro: "大规模与小规模之比：每请求服务端 CPU、开环 p50。两种规模各一台新装载、新启动的服务，同一查询以同一速率（较慢一方饱和吞吐的三成）轮流发往两者，在诊患者数相同。应答随规模增长、或专读未缓存数据的查询不列入。± 为各轮离散度给出的标准误。垃圾回收：比值偏离 1 的部分中由其占去者，据运行时估计。磁盘：其间大规模一方服务端读+写，写者为后台合并。",
	peer: "与 %s 对比", peerIntro: "同一次运行、同样数据、同样请求、轮流进行。大于 1 表示本系统更优。", leftOut: "未测项", charts: "图",
	floor: "基线", measured: "实测", want: "要求", latency: "延迟", verdict: "结论", bound: "瓶颈",
	met: "达标", missed: "未达标：%s", unmeasured: "未测", none: "–",
	workload: "负载", closed: "闭环", units: "吞吐", open: "开环", rate: "速率", errors: "失败", cpu: "CPU 毫秒", cores: "核", disk: "磁盘 MB/s", rss: "内存", patients: "患者", resources: "资源",
	failed: "%d 个请求失败：%s", cpuBound: "CPU：服务端 %.2f + 发生器 %.2f + 其他 %.2f，共 %d 核", diskBound: "等待提交：%.2f/%.2f 可用核忙，每秒读 %s、写 %s，磁盘每秒 %.0f 次 fsync",
	waitBound: "等待而非 CPU：%.2f/%.2f 可用核忙，每秒读 %s、写 %s", unsent: "%d 个未发出", files: "其中文件页 %s", garbage: "垃圾回收",
}
