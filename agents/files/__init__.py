"""Files of runs: `artifacts` reads, `keeping` alone stores, `sniffing` tells what a file is."""
