import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.HttpURLConnection;
import java.net.URI;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** Gets the page of each URL that it is given, on a connection of its own. */
public class Client {
    public static void main(String[] args) throws Exception {
        System.setProperty("http.keepAlive", "false");
        KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
        trusted.load(null, null);
        try (InputStream in = new FileInputStream(args[0])) {
            trusted.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(in));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(trusted);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        HttpsURLConnection.setDefaultSSLSocketFactory(context.getSocketFactory());

        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String url; (url = lines.readLine()) != null; ) {
            long began = System.nanoTime();
            HttpURLConnection c = (HttpURLConnection) URI.create(url).toURL().openConnection();
            String body;
            try (InputStream in = c.getInputStream()) {
                body = new String(in.readAllBytes());
            }
            // It has no way to ask whom it is connected to.
            System.out.println((System.nanoTime() - began) / 1e6 + " - " + body);
        }
    }
}
