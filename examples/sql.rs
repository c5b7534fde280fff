//! scratch
#![allow(missing_docs, clippy::all)]
fn main() {
    let mut args = std::env::args().skip(1);
    let db = args.next().unwrap();
    let c = duckdb::Connection::open(db).unwrap();
    for sql in args {
        let stat = || {
            let s = std::fs::read_to_string("/proc/self/stat").unwrap();
            let f: Vec<_> = s
                .rsplit_once(')')
                .unwrap()
                .1
                .split_whitespace()
                .map(str::to_owned)
                .collect();
            (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) / 100.0
        };
        let c0 = stat();
        let t = std::time::Instant::now();
        let mut s = c.prepare(&sql).unwrap();
        let mut rows = s.query([]).unwrap();
        let mut out = String::new();
        let mut n = 0;
        while let Some(r) = rows.next().unwrap() {
            n += 1;
            if n <= 40 {
                let k = r.as_ref().column_count();
                for i in 0..k {
                    out += &format!("{:?} ", r.get_ref(i).unwrap().to_owned());
                }
                out += "\n";
            }
        }
        println!(
            "{:.2}s wall {:.2}s cpu {} \n{}",
            t.elapsed().as_secs_f64(),
            stat() - c0,
            &sql[..sql.len().min(150)],
            out
        );
    }
}
