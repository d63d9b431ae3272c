import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import java.util.Properties;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.avro.util.Utf8;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaClientSupplier;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;

/** The benchmark's job in Kafka Streams, by the Processor API: one source, one processor, one sink. */
public final class Bench {
    static final Map<String, String> OPTIONS = new HashMap<>();
    static final Clock CLOCK = new Clock();

    public static void main(String[] arguments) throws Exception {
        for (int i = 0; i < arguments.length; i += 2) {
            OPTIONS.put(arguments[i].substring(2), arguments[i + 1]);
        }
        CLOCK.warm = Long.parseLong(OPTIONS.get("warm"));
        CLOCK.total = CLOCK.warm + Long.parseLong(OPTIONS.get("count"));
        boolean exactlyOnce = OPTIONS.get("guarantee").equals("exactly_once");
        Topology topology = new Topology();
        topology.addSource("source", OPTIONS.get("source"))
            .addProcessor("work", Work::new, "source")
            .addSink("sink", OPTIONS.get("target"), "work");
        Clients clients = new Clients();
        new KafkaStreams(topology, settings(exactlyOnce), clients).start();
        CLOCK.allRead.await();
        if (exactlyOnce) {
            clients.awaitCommit();
        } else {
            clients.producer.flush();
        }
        System.out.println(CLOCK.report());
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }

    static Properties settings(boolean exactlyOnce) {
        Properties p = new Properties();
        p.put("application.id", OPTIONS.get("target"));
        p.put("bootstrap.servers", OPTIONS.get("servers"));
        p.put("state.dir", OPTIONS.get("state"));
        p.put("num.stream.threads", "1");
        p.put("processing.guarantee", exactlyOnce ? "exactly_once_v2" : "at_least_once");
        p.put("default.key.serde", Serdes.ByteArraySerde.class.getName());
        p.put("default.value.serde", Serdes.ByteArraySerde.class.getName());
        p.put("auto.offset.reset", "earliest");
        p.put("max.poll.records", "5000");
        p.put("buffered.records.per.partition", "20000");
        p.put("consumer.max.partition.fetch.bytes", Integer.toString(4 << 20));
        p.put("producer.linger.ms", "20");
        p.put("producer.batch.size", Integer.toString(1 << 20));
        p.put("producer.compression.type", "lz4");
        p.put("producer.buffer.memory", Integer.toString(128 << 20));
        return p;
    }

    /** Starts at the first record after the warm-up, as the peers in Python do. */
    static final class Clock {
        final CountDownLatch allRead = new CountDownLatch(1);
        long warm;
        long total;
        private long read;
        private long began;
        private long cpuBegan;

        void begin() {
            if (read++ == warm) {
                began = System.nanoTime();
                cpuBegan = cpu();
            }
        }

        void end() {
            if (read == total) {
                allRead.countDown();
            }
        }

        String report() throws IOException {
            double seconds = (System.nanoTime() - began) / 1e9;
            double cpu = (cpu() - cpuBegan) / 1e9;
            return String.format("{\"records\": %d, \"seconds\": %.6f, \"cpu_seconds\": %.6f, \"peak_mb\": %s}",
                read - warm, seconds, cpu, peak());
        }

        private static long cpu() {
            var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
            return system.getProcessCpuTime();
        }

        private static String peak() throws IOException {
            Path status = Path.of("/proc/self/status");
            if (Files.exists(status)) {
                for (String line : Files.readAllLines(status)) {
                    if (line.startsWith("VmHWM:")) {
                        return Double.toString(Long.parseLong(line.replaceAll("\\D", "")) / 1024.0);
                    }
                }
            }
            return "null";
        }
    }

    /** Kafka Streams' own clients; of the producer we learn when it has committed. */
    static final class Clients implements KafkaClientSupplier {
        volatile Producer<byte[], byte[]> producer;
        private final CountDownLatch committed = new CountDownLatch(1);

        void awaitCommit() throws InterruptedException {
            committed.await();
        }

        @Override
        public Admin getAdmin(Map<String, Object> settings) {
            return Admin.create(settings);
        }

        @Override
        public Producer<byte[], byte[]> getProducer(Map<String, Object> settings) {
            producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer()) {
                @Override
                public void commitTransaction() {
                    super.commitTransaction();
                    if (CLOCK.allRead.getCount() == 0) {
                        committed.countDown();
                    }
                }
            };
            return producer;
        }

        @Override
        public Consumer<byte[], byte[]> getConsumer(Map<String, Object> settings) {
            return new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        }

        @Override
        public Consumer<byte[], byte[]> getRestoreConsumer(Map<String, Object> settings) {
            return getConsumer(settings);
        }

        @Override
        public Consumer<byte[], byte[]> getGlobalConsumer(Map<String, Object> settings) {
            return getConsumer(settings);
        }
    }

    /** Decode, filter, reshape, HMAC, encode, headers; readers and buffers are used again and again. */
    static final class Work implements Processor<byte[], byte[], byte[], byte[]> {
        private static final int PREFIX = 5;
        private static final Utf8 LEDGER_CODE = new Utf8("ledger_code");
        private static final Utf8 SUCCESS = new Utf8("success");

        private final HexFormat hex = HexFormat.of();
        private final ByteArrayOutputStream out = new ByteArrayOutputStream(512);
        private final byte[] prefix = prefix();
        private final byte[] derivedFrom = derivedFrom();
        private final Map<String, byte[]> fixed = Map.of(
            "ce_source", utf8("/routes/" + OPTIONS.get("route")), "ce_type", utf8(OPTIONS.get("output-type")),
            "ce_party", utf8(OPTIONS.get("party")),
            "ce_dataschema", utf8("/schemas/ids/" + OPTIONS.get("output-id")));
        private final GenericDatumReader<GenericRecord> reader;
        private final GenericDatumWriter<GenericRecord> writer;
        private final GenericRecord made;
        private final Mac mac;
        private final MessageDigest sha1;
        private GenericRecord event;
        private BinaryDecoder decoder;
        private BinaryEncoder encoder;
        private ProcessorContext<byte[], byte[]> context;

        Work() {
            try {
                Schema output = new Schema.Parser().parse(Files.readString(Path.of(OPTIONS.get("output-schema"))));
                reader = new GenericDatumReader<>(
                    new Schema.Parser().parse(Files.readString(Path.of(OPTIONS.get("input-schema")))));
                writer = new GenericDatumWriter<>(output);
                made = new GenericData.Record(output);
                mac = Mac.getInstance("HmacSHA256");
                mac.init(new SecretKeySpec(hex.parseHex(OPTIONS.get("key")), "HmacSHA256"));
                sha1 = MessageDigest.getInstance("SHA-1");
            } catch (IOException | GeneralSecurityException error) {
                throw new IllegalStateException(error);
            }
        }

        @Override
        public void init(ProcessorContext<byte[], byte[]> given) {
            context = given;
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            CLOCK.begin();
            byte[] value = value(record.value());
            if (value != null) {
                context.forward(record.withValue(value).withHeaders(headers(record.headers())));
            }
            CLOCK.end();
        }

        private byte[] value(byte[] bytes) {
            try {
                decoder = DecoderFactory.get().binaryDecoder(bytes, PREFIX, bytes.length - PREFIX, decoder);
                event = reader.read(event, decoder);
                if (!SUCCESS.equals(event.get("state"))) {
                    return null;
                }
                GenericRecord payer = (GenericRecord) event.get("payer");
                Utf8 uprn = (Utf8) payer.get("uprn");
                made.put("event_id", event.get("event_id"));
                made.put("occurred_at", event.get("occurred_at"));
                made.put("council", event.get("council"));
                made.put("payment_ref", event.get("payment_id"));
                made.put("licence_ref", event.get("reference"));
                made.put("amount_pence", event.get("amount"));
                made.put("property", uprn == null ? null : pseudonym(uprn));
                made.put("postcode_district", firstWord(payer.get("postcode").toString()));
                made.put("ledger_code", ((Map<?, ?>) event.get("metadata")).get(LEDGER_CODE));
                out.reset();
                out.write(prefix);
                encoder = EncoderFactory.get().directBinaryEncoder(out, encoder);
                writer.write(made, encoder);
                encoder.flush();
                return out.toByteArray();
            } catch (IOException error) {
                throw new IllegalStateException(error);
            }
        }

        private Utf8 pseudonym(Utf8 uprn) {
            mac.update(uprn.getBytes(), 0, uprn.getByteLength());
            return new Utf8(hex.formatHex(mac.doFinal(), 0, 16));
        }

        private static String firstWord(String text) {
            int space = text.indexOf(' ');
            return space < 0 ? text : text.substring(0, space);
        }

        private Headers headers(Headers given) {
            byte[] cause = given.lastHeader("ce_id").value();
            String id = derived(cause);
            RecordHeaders result = new RecordHeaders();
            for (Header header : given) {
                String name = header.key();
                byte[] changed = fixed.get(name);
                if (changed != null) {
                    result.add(name, changed);
                } else if (name.equals("ce_id")) {
                    result.add(name, utf8(id));
                } else if (name.equals("ce_causationid")) {
                    result.add(name, cause);
                } else if (name.equals("ce_traceparent")) {
                    String trace = new String(header.value(), 0, 36, StandardCharsets.ISO_8859_1);
                    String span = id.substring(0, 8) + id.substring(9, 13) + id.substring(14, 18);
                    result.add(name, utf8(trace + span + "-01"));
                } else {
                    result.add(header);
                }
            }
            return result;
        }

        /** UUIDv5 over route, party and the input's id. */
        private String derived(byte[] cause) {
            sha1.update(derivedFrom);
            byte[] digest = sha1.digest(cause);
            digest[6] = (byte) (digest[6] & 0x0f | 0x50);
            digest[8] = (byte) (digest[8] & 0x3f | 0x80);
            long high = 0;
            long low = 0;
            for (int i = 0; i < 8; i++) {
                high = high << 8 | digest[i] & 0xff;
                low = low << 8 | digest[i + 8] & 0xff;
            }
            return new UUID(high, low).toString();
        }

        private static byte[] derivedFrom() {
            byte[] space = HexFormat.of().parseHex(OPTIONS.get("namespace"));
            byte[] name = utf8(OPTIONS.get("route") + "\u001f" + OPTIONS.get("party") + "\u001f");
            byte[] whole = new byte[space.length + name.length];
            System.arraycopy(space, 0, whole, 0, space.length);
            System.arraycopy(name, 0, whole, space.length, name.length);
            return whole;
        }

        private static byte[] prefix() {
            int id = Integer.parseInt(OPTIONS.get("output-id"));
            return new byte[] {0, (byte) (id >> 24), (byte) (id >> 16), (byte) (id >> 8), (byte) id};
        }

        private static byte[] utf8(String text) {
            return text.getBytes(StandardCharsets.UTF_8);
        }
    }
}
