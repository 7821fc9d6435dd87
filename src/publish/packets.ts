/** How MQTT.js and aedes write packets: both use mqtt-packet. */
import mqttPacket from 'mqtt-packet'

/**
 * Leaves out mqtt-packet's table of the numbers up to 65,535, which it makes at the first packet: 7 MB of memory to save
 * the writing of two bytes. To be called before a packet is written.
 */
export function writeWithoutTable(): void {
  mqttPacket.writeToStream.cacheNumbers = false
}
