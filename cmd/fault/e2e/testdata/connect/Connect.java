import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Connects to each address of the command line, and prints what became of it: WAY ADDRESS/PORT RESULT MS ms. */
public class Connect {
	interface Way {
		String outcome(InetSocketAddress to) throws Exception;
	}

	static String read(Socket s) throws IOException {
		try (s) {
			byte[] b = new byte[100];
			int n = s.getInputStream().read(b);
			return "read " + (n < 0 ? "end" : new String(b, 0, n));
		} catch (IOException e) {
			return "read " + e.getClass().getSimpleName() + " " + e.getMessage();
		}
	}

	static String plain(InetSocketAddress to) throws Exception {
		Socket s = new Socket();
		s.connect(to, 8000);
		return read(s);
	}

	static String timeout(InetSocketAddress to) throws Exception {
		Socket s = new Socket();
		s.connect(to, 5000);
		return read(s);
	}

	static String nonBlocking(InetSocketAddress to) throws Exception {
		try (Selector selector = Selector.open(); SocketChannel c = SocketChannel.open()) {
			c.configureBlocking(false);
			if (!c.connect(to)) {
				SelectionKey key = c.register(selector, SelectionKey.OP_CONNECT);
				if (selector.select(5000) == 0) {
					return "connect still pending";
				}
				c.finishConnect();
				key.cancel();
				selector.selectNow();
			}
			c.configureBlocking(true);
			return read(c.socket());
		}
	}

	static String tell(String name, Way way, String target) {
		String[] parts = target.split("/");
		long began = System.nanoTime();
		String outcome;
		try {
			outcome = way.outcome(new InetSocketAddress(parts[0], Integer.parseInt(parts[1])));
		} catch (Exception e) {
			outcome = "connect " + e.getClass().getSimpleName() + " " + e.getMessage();
		}
		return name + " " + target + " " + outcome.replace("\n", " ") + " " + (System.nanoTime() - began) / 1_000_000 + " ms";
	}

	public static void main(String[] targets) throws Exception {
		ExecutorService pool = Executors.newCachedThreadPool();
		List<Future<String>> told = new ArrayList<>();
		for (String target : targets) {
			told.add(pool.submit(() -> tell("plain", Connect::plain, target)));
			told.add(pool.submit(() -> tell("timeout", Connect::timeout, target)));
			told.add(pool.submit(() -> tell("nonblocking", Connect::nonBlocking, target)));
		}
		for (Future<String> line : told) {
			System.out.println(line.get());
		}
		pool.shutdown();
	}
}
