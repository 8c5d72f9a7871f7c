export interface DoctorOptions {
  host?: string;
  json: boolean;
}
